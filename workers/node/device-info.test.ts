import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createDeviceInfoReader, deviceInfoDirectory } from './device-info.ts';

let base: string;
let directory: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'devinfo-'));
  directory = join(base, 'cni');
  mkdirSync(directory);
  writeFileSync(join(base, 'secret'), 'secret');
});
afterEach(() => rmSync(base, { recursive: true }));

describe('a device information file', () => {
  it('is read where Multus puts it', () => {
    const path = join(directory, 'rail0-c1_net1');
    writeFileSync(path, '{"type":"pci"}');
    expect(createDeviceInfoReader(directory)(path)).toBe('{"type":"pci"}');
  });

  it('need not be there, and neither need its directory', () => {
    expect(createDeviceInfoReader(directory)(join(directory, 'rail0-c1_net1'))).toBeUndefined();
    expect(createDeviceInfoReader(join(base, 'none'))(join(base, 'none', 'a'))).toBeUndefined();
  });

  it('is in the same directory by the name /run', () => {
    const read = createDeviceInfoReader(deviceInfoDirectory);
    for (const parent of ['/var/run', '/run'])
      expect(read(`${parent}/k8s.cni.cncf.io/devinfo/cni/a-test-that-has-no-file`)).toBeUndefined();
  });

  it.each(['../secret', '..', '.', '', 'a/b', './rail0', '/etc/passwd'])('is no file elsewhere: %s', (name) => {
    const path = name.startsWith('/') ? name : `${directory}/${name}`;
    expect(() => createDeviceInfoReader(directory)(path)).toThrow('"runtimeConfig.CNIDeviceInfoFile"');
  });

  it.each<[string, (path: string) => void]>([
    ['a link', (path) => symlinkSync(join(base, 'secret'), path)],
    ['a directory', (path) => mkdirSync(path)],
    ['a pipe', (path) => execFileSync('mkfifo', [path])],
    ['a file of 64 KiB and more', (path) => writeFileSync(path, ' '.repeat(65_537))],
  ])('is not %s', (_, make) => {
    const path = join(directory, 'rail0');
    make(path);
    expect(() => createDeviceInfoReader(directory)(path)).toThrow(`Cannot tell the device from ${path}`);
  });

  it('has no name that the kernel cannot have', () => {
    expect(() => createDeviceInfoReader(directory)(`${directory}/a\0b`)).toThrow('Cannot tell the device from');
  });
});
