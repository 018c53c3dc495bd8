import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../deploy/dev/eventually.ts';
import { ensureParts } from '../../deploy/toolchain/parts.ts';
import { Launcher } from './launcher.ts';

describe('the launcher', () => {
  let directory: string;
  let launcher: Launcher;

  beforeAll(() => ensureParts(['fleet-launcher'], () => undefined));

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'launcher-'));
    launcher = new Launcher();
  });

  afterEach(async () => {
    await launcher.stop();
    rmSync(directory, { recursive: true });
  });

  const script = (text: string): string => {
    const path = join(directory, `script-${readdirSync(directory).length}`);
    writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return path;
  };
  const plain = { env: {}, stdin: '' };

  it('gives exit code and stdout, and a time that holds the start', async () => {
    const before = Date.now();
    const answer = await launcher.start({ ...plain, path: script('echo hello; exit 7') });
    expect(answer).toMatchObject({ ending: 'exited', code: 7, text: 'hello\n' });
    expect(answer.spawnMs).toBeGreaterThan(0);
    expect(answer.durationMs).toBeGreaterThanOrEqual(answer.spawnMs);
    expect(Math.ceil(answer.startedAtMs)).toBeGreaterThanOrEqual(before);
    expect(answer.startedAtMs).toBeLessThanOrEqual(Date.now());
    expect(answer.peakRssKiB).toBeUndefined();
  });

  it('passes exactly the environment that it was given', async () => {
    const answer = await launcher.start({ ...plain, path: '/usr/bin/env', env: { B: 'two words=', A: 'é' } });
    expect(answer.text).toBe('B=two words=\nA=é\n');
  });

  it('passes nothing but stdin, stdout and stderr, and ignores no signal for the executable', async () => {
    const other = launcher.start({ ...plain, path: script('exec sleep 60'), killAfterMs: 1000 }); // its pipes are open
    const look = 'for fd in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo fd $fd; done; cat /proc/self/status';
    const { text } = await launcher.start({ ...plain, path: script(look) });
    expect(text.match(/^fd \d$/gm)).toEqual(['fd 0', 'fd 1', 'fd 2']); // the shell holds its script at 10
    expect(text).toMatch(/^SigBlk:\s+0+$/m);
    const ofTheCLibrary = 0x3_8000_0000n; // 32 to 34, which musl lets nobody change
    expect(BigInt(`0x${/^SigIgn:\s+(\w+)$/m.exec(text)?.[1]}`) & ~ofTheCLibrary).toBe(0n);
    await other;
  });

  it('feeds more than a pipe holds', async () => {
    const stdin = 'é'.repeat(500_000);
    const answer = await launcher.start({ ...plain, path: '/bin/cat', stdin });
    expect(answer.text === stdin).toBe(true); // a diff of it would fill the screen
  });

  it('does not mind an executable that leaves its stdin unread', async () => {
    const answer = await launcher.start({ ...plain, path: '/bin/true', stdin: 'x'.repeat(1_000_000) });
    expect(answer).toMatchObject({ ending: 'exited', code: 0, text: '' });
  });

  it('says why something cannot be started', async () => {
    const answer = await launcher.start({ ...plain, path: join(directory, 'missing') });
    expect(answer).toMatchObject({ ending: 'not started', code: 2, text: 'No such file or directory' });
  });

  it('kills what takes longer than it may', async () => {
    const answer = await launcher.start({ ...plain, path: script('echo begun; exec sleep 60'), killAfterMs: 300 });
    expect(answer).toMatchObject({ ending: 'killed', code: 9, text: 'begun\n' });
    expect(answer.durationMs).toBeGreaterThanOrEqual(300);
  });

  it('sees the memory of what it watches', async () => {
    const answer = await launcher.start({ ...plain, path: script('sleep 0.1'), watchesMemory: true });
    expect(answer.peakRssKiB).toBeGreaterThan(100);
  });

  it('runs a hundred at once and keeps them apart', async () => {
    const path = script('read line; sleep 0.1; echo "$NAME $line"; exit "$CODE"');
    const all = Array.from({ length: 100 }, (_, index) =>
      launcher.start({
        path,
        env: { PATH: '/bin:/usr/bin', NAME: `n${index}`, CODE: `${index}` },
        stdin: `s${index}\n`,
      }),
    );
    expect((await Promise.all(all)).map(({ code, text }) => [code, text])).toEqual(
      all.map((_, index) => [index, `n${index} s${index}\n`]),
    );
  });

  it('kills what it started when it is asked no more', async () => {
    const pidFile = join(directory, 'pid');
    const running = launcher.start({ ...plain, path: script(`echo $$ >${pidFile}; exec sleep 60`) }).catch(String);
    const pid = await eventually('It runs', 5, () => {
      const text = readFileSync(pidFile, 'utf8').trim();
      return text === '' ? { state: 'no pid' } : { value: text };
    });
    await launcher.stop();
    await running;
    await eventually('It is gone', 5, () => {
      const processes = execFileSync('ps', ['-e', '-o', 'pid=,stat=']).toString();
      const isThere = processes.split('\n').some((line) => new RegExp(`^\\s*${pid}\\s+[^Z]`).test(line));
      return isThere ? { state: processes } : { value: true };
    });
  });

  it('that dies rejects whoever waits, and whoever comes later', async () => {
    const waiting = [1, 2].map(() => launcher.start({ ...plain, path: script('exec sleep 2') }));
    process.kill(launcher.pid, 'SIGKILL');
    for (const one of waiting) await expect(one).rejects.toThrow('The launcher of CNI executables ended: SIGKILL');
    await expect(launcher.start({ ...plain, path: '/bin/true' })).rejects.toThrow('SIGKILL');
  });
});
