import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { findLeftovers } from '../../deploy/dev/teardown.ts';
import { repositoryRoot } from '../../deploy/toolchain/parts.ts';

describe('make demo', () => {
  it('tells its whole story, in which every fact holds, and leaves nothing', async () => {
    const { exitCode, told } = await run('deploy/dev/demo.ts', { EXIT: '1' });
    expect({ exitCode, told }).toEqual({ exitCode: 0, told: expect.stringContaining('Nothing of it is left') });
    for (const fact of [
      'All 6 are Running, on both nodes',
      'A host outside the cluster reaches every pod, by IPv4 and IPv6',
      'The Temporal UI answers at http://127.0.0.1:',
      'ADD fails: Injected failure after kernel.plumb',
      '… and everything is as before',
      'All 20 reach Running',
      '26 open runs: one for each sandbox',
      'No claim and no open run is left',
    ]) {
      expect(told).toContain(fact);
    }
    const [, id = ''] = /stack (\w+): network namespaces made/.exec(told) ?? [];
    expect(await findLeftovers(id)).toEqual([]);
  }, 600_000);
});

function run(script: string, env: Record<string, string>): Promise<{ exitCode: number | null; told: string }> {
  return new Promise((resolve, reject) => {
    // Without Jest's options: the demo is a program of its own.
    const { NODE_OPTIONS: _, ...inherited } = process.env;
    const child = spawn(process.execPath, [join(repositoryRoot, script)], {
      env: { ...inherited, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let told = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (told += text));
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, told }));
  });
}
