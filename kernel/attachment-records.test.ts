import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Attachment } from '../contracts/attachment.ts';
import { type AttachmentRecord, type AttachmentRecords, createAttachmentRecords } from './attachment-records.ts';

const attachment: Attachment = { containerID: '5b1e', network: 'vlan70', ifName: 'eth0', kind: 'attach' };

const record: AttachmentRecord = {
  attachment,
  pod: { namespace: 'pay', name: 'api-0', uid: '9c1f' },
  netns: '/run/netns/cni-1',
  netnsCookie: '4711',
  addresses: [],
  provides: 'interface',
  link: { kind: 'macvlan', master: 'eth1', mode: 'bridge' },
  addedAtMs: 1,
};

describe('attachment records', () => {
  let directory: string;
  let records: AttachmentRecords;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'orbweaver-records-'));
    records = createAttachmentRecords(directory);
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it('loses the drafts of a process that was killed, and no record', async () => {
    await records.write(record);
    await writeFile(join(directory, 'attachments.new', 'half'), '{"attach');
    await records.removeDrafts();
    await records.removeDrafts();
    expect(await readdir(directory)).toEqual(['attachments']);
    await records.write({ ...record, addedAtMs: 2 });
    expect(await records.read(attachment)).toEqual({ ...record, addedAtMs: 2 });
  });

  it('gives back what was written', async () => {
    await records.write(record);
    expect(await records.read(attachment)).toEqual(record);
    expect(await readdir(join(directory, 'attachments', '5b1e'))).toEqual(['vlan70.eth0.attach']);
  });

  it('replaces a record as a whole', async () => {
    await records.write(record);
    const done = { ...record, doneResult: { interfaces: [], ips: [], routes: [], dns: {} } };
    await records.write(done);
    expect(await records.list()).toEqual({ records: [done], unreadable: [] });
  });

  it('knows nothing of an attachment that was never written', async () => {
    expect(await records.read(attachment)).toBeUndefined();
    expect(await records.list()).toEqual({ records: [], unreadable: [] });
    await expect(records.remove(attachment)).resolves.toBeUndefined();
  });

  it('keeps the other interfaces of a sandbox when one is removed, and removes the directory with the last', async () => {
    const second: AttachmentRecord = { ...record, attachment: { ...attachment, ifName: 'net1' } };
    await records.write(record);
    await records.write(second);
    await records.remove(attachment);
    expect((await records.list('5b1e')).records).toEqual([second]);
    await records.remove(second.attachment);
    expect(await readdir(join(directory, 'attachments'))).toEqual([]);
  });

  it('lists one sandbox or all', async () => {
    const other: AttachmentRecord = { ...record, attachment: { ...attachment, containerID: '77aa' } };
    await records.write(record);
    await records.write(other);
    expect((await records.list('77aa')).records).toEqual([other]);
    expect((await records.list()).records).toHaveLength(2);
  });

  it.each(['', '{"attachment":', 'null', '{}', '{"attachment":{},"pod":{},"addresses":[]}'])(
    'names the file that holds %j and still lists the others',
    async (damage) => {
      await records.write(record);
      const path = join(directory, 'attachments', '5b1e', 'vlan70.net9.attach');
      await writeFile(path, damage);
      const { records: found, unreadable } = await records.list();
      expect(found).toEqual([record]);
      expect(unreadable).toEqual([{ path, reason: expect.any(String) }]);
    },
  );

  it('does not list a record whose writer was killed before the rename', async () => {
    await mkdir(join(directory, 'attachments.new'), { recursive: true });
    await writeFile(join(directory, 'attachments.new', 'half'), '{"attachment":');
    await records.write(record);
    expect(await records.list()).toEqual({ records: [record], unreadable: [] });
  });

  it('shows whole records only when their writer was killed', async () => {
    const writer = spawn(process.execPath, [
      fileURLToPath(new URL('./testing/write-records.ts', import.meta.url)),
      directory,
    ]);
    await once(writer.stdout, 'data');
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    const { records: found, unreadable } = await records.list();
    expect(unreadable).toEqual([]);
    expect(found.length).toBeGreaterThan(0);
    for (const each of found) await records.remove(each.attachment);
    expect(await records.list()).toEqual({ records: [], unreadable: [] });
  });

  it('says which file it could not write', async () => {
    await writeFile(join(directory, 'attachments'), 'in the way');
    await expect(records.write(record)).rejects.toMatchObject({
      type: 'RecordUnwritable',
      message: expect.stringContaining(join(directory, 'attachments', '5b1e', 'vlan70.eth0.attach')),
    });
    expect(await readdir(join(directory, 'attachments.new'))).toEqual([]);
  });

  it('survives records of one sandbox being written and removed at once', async () => {
    const names = Array.from({ length: 20 }, (_, index) => ({ ...attachment, ifName: `net${index}` }));
    await Promise.all(
      names.map(async (one) => {
        await records.write({ ...record, attachment: one });
        await records.remove(one);
      }),
    );
    expect(await records.list()).toEqual({ records: [], unreadable: [] });
  });

  it('keeps every name inside its directory and every attachment in a file of its own', async () => {
    const name = fc.oneof(
      fc.constantFrom('.', '..', '../..', 'a.b', 'a', 'b.c', 'c', '/etc', 'x/y', '%2E', 'ü'),
      fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme-ascii' }),
    );
    const attachments = fc.record({
      containerID: name,
      network: name,
      ifName: name,
      kind: fc.constant('attach' as const),
    });
    await fc.assert(
      fc.asyncProperty(attachments, attachments, async (one, two) => {
        const written = [
          { ...record, attachment: one },
          { ...record, attachment: two },
        ];
        for (const each of written) await records.write(each);
        for (const each of written) expect(await records.read(each.attachment)).toEqual(each);
        for (const path of await filesBelow(directory)) {
          expect(dirname(dirname(path))).toBe(join(directory, 'attachments'));
          expect(JSON.parse(await readFile(path, 'utf8'))).toBeDefined();
        }
        for (const each of written) await records.remove(each.attachment);
        expect(await filesBelow(directory)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => resolve(entry.parentPath, entry.name));
}
