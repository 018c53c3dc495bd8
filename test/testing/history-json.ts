import type { History } from '@temporalio/common/lib/proto-utils.js';
import proto from '@temporalio/proto';

const codec = proto.temporal.api.history.v1.History;

/**
 * Spells a history as JSON, without what names the machine that it was recorded on. (The SDK's own `historyToJSON` stands
 * in an internal file, and fails where npm lays out more than one copy of protobufjs.)
 */
export function toHistoryJson(history: History): string {
  const plain = codec.toObject(codec.fromObject(history), { enums: String, longs: String, bytes: String });
  const anonymous = (key: string, value: unknown): unknown => {
    if (key === 'stackTrace') return '';
    return typeof value === 'string' ? value.replace(/^\d+@[^-]+(?=$|-)/, 'worker') : value; // pid@host, of workers and their sticky queues
  };
  return `${JSON.stringify(plain, anonymous, 2)}\n`;
}

/** Reads what {@link toHistoryJson} wrote. */
export const fromHistoryJson = (text: string): History => codec.fromObject(JSON.parse(text) as Record<string, unknown>);
