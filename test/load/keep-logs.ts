import { cp } from 'node:fs/promises';
import type { Fleet } from '../fleet/fleet.ts';

/** Copies the logs of all parts where LOAD_LOGS says, before the fleet goes: for whoever looks for the cause of a failure. */
export async function keepLogs(fleet: Fleet): Promise<void> {
  const { LOAD_LOGS: directory } = process.env;
  if (directory !== undefined) await cp(fleet.stack.logs, directory, { recursive: true });
}
