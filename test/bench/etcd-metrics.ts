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
