import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Attachment, PodIdentity } from '../contracts/attachment.ts';
import type { CniResult } from '../contracts/cni.ts';
import type { DeviceConf, DeviceLease } from '../contracts/device.ts';
import { ProvisionError } from '../contracts/failures.ts';
import type { ClaimedAddress, LinkConf, NetworkConf } from '../contracts/pod-network.ts';
import type { SharedLinkConf } from '../contracts/shared-link.ts';

/**
 * What this node does or did for one attachment: written before the first effect, removed after the last undo. It lies on
 * tmpfs, so it ends with the boot, as the namespaces do.
 */
export interface AttachmentRecord {
  readonly attachment: Attachment;
  readonly pod: PodIdentity;
  readonly netns: string;
  readonly netnsCookie: string;
  readonly netnsInode?: string;
  /** Empty until the attachment is complete. */
  readonly addresses: readonly ClaimedAddress[];
  readonly provides: NetworkConf['provides'];
  readonly link?: LinkConf;
  readonly device?: DeviceConf;
  /** The device that this attachment alone has, and how it was before. */
  readonly lease?: DeviceLease;
  /** Links of the node that this attachment uses with others. */
  readonly shared?: readonly SharedLinkConf[];
  /** It is being undone, and no user of its shared links any more. */
  readonly isLeaving?: boolean;
  /** The mark `done`: the last step is complete and this was its answer. */
  readonly doneResult?: CniResult;
  /** Unix time. */
  readonly addedAtMs: number;
}

export interface AttachmentRecords {
  /** Writes or replaces a record; readers see the old one or the new one. Throws `RecordUnwritable`. */
  write(record: AttachmentRecord): Promise<void>;
  /** Undefined when there is none. Throws `RecordUnwritable` when there is one that cannot be read. */
  read(attachment: Attachment): Promise<AttachmentRecord | undefined>;
  /** Succeeds when there is none. */
  remove(attachment: Attachment): Promise<void>;
  /** All records, or those of one sandbox. What cannot be read is named, so that a person can look; it hides nothing else. */
  list(containerID?: string): Promise<AttachmentRecordList>;
  /** Removes what a process that was killed had begun to write. Nobody may write meanwhile. */
  removeDrafts(): Promise<void>;
}

export interface AttachmentRecordList {
  readonly records: readonly AttachmentRecord[];
  readonly unreadable: readonly { readonly path: string; readonly reason: string }[];
}

/**
 * Records as files `<run directory>/attachments/<container ID>/<network>.<ifName>.<kind>`.
 *
 * One record is read and written without leaving the thread: on tmpfs that takes 0.1 ms, and each round through libuv's pool
 * another 0.3, of which a write needs four. Lists, which may be long, go through the pool.
 */
export function createAttachmentRecords(runDirectory: string): AttachmentRecords {
  const root = join(runDirectory, 'attachments');
  const unfinished = join(runDirectory, 'attachments.new'); // beside the records: nobody lists it, and rename reaches them
  const directoryOf = (containerID: string): string => join(root, fileName(containerID));
  const pathOf = ({ containerID, network, ifName, kind }: Attachment): string =>
    join(directoryOf(containerID), [network, ifName, kind].map(fileName).join('.'));

  return {
    async write(record) {
      const path = pathOf(record.attachment);
      const draft = join(unfinished, randomUUID());
      try {
        writeDraft(draft, unfinished, `${JSON.stringify(record)}\n`);
        publish(draft, path, directoryOf(record.attachment.containerID));
      } catch (cause) {
        await rm(draft, { force: true }).catch(() => undefined);
        throw unwritable(path, 'write', cause);
      }
    },

    async read(attachment) {
      const path = pathOf(attachment);
      try {
        return parseRecord(readFileSync(path, 'utf8'));
      } catch (cause) {
        if (isMissing(cause)) return undefined;
        throw unwritable(path, 'read', cause);
      }
    },

    async remove(attachment) {
      const path = pathOf(attachment);
      try {
        rmSync(path, { force: true });
        rmdirSync(directoryOf(attachment.containerID));
      } catch (cause) {
        if (isMissing(cause) || hasCode(cause, 'ENOTEMPTY')) return; // nothing there, or other interfaces of the sandbox
        throw unwritable(path, 'remove', cause);
      }
    },

    async list(containerID) {
      const directories =
        containerID === undefined ? (await names(root)).map((name) => join(root, name)) : [directoryOf(containerID)];
      const records: AttachmentRecord[] = [];
      const unreadable: { path: string; reason: string }[] = [];
      for (const directory of directories) {
        for (const path of (await names(directory)).map((name) => join(directory, name))) {
          try {
            records.push(parseRecord(await readFile(path, 'utf8')));
          } catch (error) {
            if (!isMissing(error)) unreadable.push({ path, reason: reasonOf(error) }); // missing: removed meanwhile
          }
        }
      }
      return { records, unreadable };
    },

    async removeDrafts() {
      try {
        await rm(unfinished, { recursive: true, force: true });
      } catch (cause) {
        throw unwritable(unfinished, 'remove drafts of an', cause);
      }
    },
  };
}

function writeDraft(draft: string, directory: string, text: string): void {
  const options = { mode: 0o600, flag: 'wx' } as const;
  withDirectory(directory, () => writeFileSync(draft, text, options));
}

const publish = (draft: string, path: string, directory: string): void =>
  withDirectory(directory, () => renameSync(draft, path));

/** Makes the directory when the work misses it: most of the time it is there. */
function withDirectory(directory: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isMissing(error)) throw error;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    work();
  }
}

/** No name reaches another directory or another record: of what may stand in one, only the dot and the slash need care. */
const fileName = (text: string): string => encodeURIComponent(text).replaceAll('.', '%2E');

async function names(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (isMissing(error)) return [];
    if (hasCode(error, 'ENOTDIR')) return []; // a stray file among the directories
    throw unwritable(directory, 'list', error);
  }
}

/** Checks what the readers of a record rely on before they know which sandbox it is about. */
function parseRecord(text: string): AttachmentRecord {
  const record: unknown = JSON.parse(text);
  if (!isObject(record) || !isObject(record['attachment']) || !isObject(record['pod'])) {
    throw new SyntaxError('no attachment record');
  }
  const { attachment, pod } = record;
  const texts = [
    ...['containerID', 'network', 'ifName', 'kind'].map((key) => attachment[key]),
    ...['namespace', 'name', 'uid'].map((key) => pod[key]),
    record['netns'],
    record['netnsCookie'],
  ];
  if (!texts.every((value) => typeof value === 'string') || !Array.isArray(record['addresses'])) {
    throw new SyntaxError('an attachment record with fields missing');
  }
  return record as unknown as AttachmentRecord;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

const hasCode = (error: unknown, code: string): boolean => isObject(error) && error['code'] === code;

const isMissing = (error: unknown): boolean => hasCode(error, 'ENOENT');

const reasonOf = (error: unknown): string => (isObject(error) ? String(error['message']) : String(error));

const unwritable = (path: string, action: string, cause: unknown): ProvisionError =>
  new ProvisionError(
    {
      type: 'RecordUnwritable',
      message: `Cannot ${action} attachment record ${path}: ${reasonOf(cause)}`,
      remedy: `Look at the run directory on the node (df, ls -l): ${path}`,
    },
    { cause },
  );
