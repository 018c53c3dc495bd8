import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NamespaceDirectory } from './namespaces.ts';

const names = ['5bc0ffee', '5bc0ffef'];

describe('namespaces of a fleet', () => {
  let directory: string;
  let namespaces: NamespaceDirectory;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'fleet-'));
    namespaces = new NamespaceDirectory(directory);
    for (const name of names) namespaces.make(name);
  });

  afterEach(() => {
    for (const name of names) namespaces.remove(name);
    rmSync(directory, { recursive: true });
  });

  const inside = (name: string, ...command: string[]): string =>
    execFileSync('nsenter', [`--net=${join(directory, name)}`, ...command]).toString();

  it('are new ones, and the thread that made them is where it was', async () => {
    const own = await readlink('/proc/self/ns/net');
    const made = names.map((name) => inside(name, 'readlink', '/proc/self/ns/net').trim());
    expect(new Set([own, ...made]).size).toBe(3);
    expect(await readlink('/proc/thread-self/ns/net')).toBe(own);
  });

  it('show their global addresses of both families and neither loopback nor link-local ones', () => {
    const [name = ''] = names;
    inside(
      name,
      'sh',
      '-c',
      'ip link set lo up; ip link add d0 type veth peer d1; ip link set d0 up; ip link set d1 up',
    );
    inside(name, 'sh', '-c', 'ip addr add 10.9.0.1/24 dev d0; ip addr add fd00::9/64 dev d0 nodad');
    expect(namespaces.addresses([name])).toMatchObject([
      { containerID: name, addresses: expect.arrayContaining(['10.9.0.1/24', 'fd00::9/64']) },
    ]);
    expect(namespaces.addresses([name])[0]?.addresses).toHaveLength(2);
    expect(namespaces.addresses()).toHaveLength(2);
  });

  it('are removed as often as one asks', () => {
    for (const name of [...names, ...names]) namespaces.remove(name);
    expect(namespaces.addresses()).toEqual([]);
    expect(namespaces.addresses(names)).toEqual([]);
  });
});
