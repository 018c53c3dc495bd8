import { ports } from '../../deploy/dev/layout.ts';
import type { Stack } from '../../deploy/dev/stack.ts';

export interface EtcdMetrics {
  /** Written to the write-ahead log since the start. */
  readonly walBytes: number;
  /** Size of the database file. */
  readonly databaseBytes: number;
}

export async function readEtcdMetrics(stack: Stack): Promise<EtcdMetrics> {
  const text = await stack.control.exec(['busybox', 'wget', '-q', '-O', '-', `http://127.0.0.1:${ports.etcd}/metrics`]);
  const metric = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  return {
    walBytes: metric('etcd_disk_wal_write_bytes_total'),
    databaseBytes: metric('etcd_mvcc_db_total_size_in_bytes'),
  };
}

/** How many keys begin so. */
export async function countInEtcd(stack: Stack, prefix: string): Promise<number> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
  const body = JSON.stringify({ key: base64(prefix), range_end: base64(end), count_only: true });
  const url = `http://127.0.0.1:${ports.etcd}/v3/kv/range`;
  const answer = await stack.control.exec(['busybox', 'wget', '-q', '-O', '-', '--post-data', body, url]);
  return Number((JSON.parse(answer) as { readonly count?: string }).count ?? 0);
}
