import type { PoolEdit, PoolEditSpec } from '../contracts/crds/pooledit.ts';
import { type EditablePool, isEditOpen, poolEditMs } from '../ipam/pool-edit.ts';
import type { ApiClient } from './api-client.ts';
import { unless } from './api-error.ts';
import type { LeaderRequest } from './leader-writes.ts';
import { listObjects } from './list.ts';
import { deadlineIn, persist } from './persist.ts';

export const poolEditsPath = '/apis/orbweaver.io/v1alpha1/pooledits';
const apiVersion = 'orbweaver.io/v1alpha1';
const query = { fieldManager: 'orbweaver' };
const writeMs = 3000;

/**
 * Writes an edit down: a node gives none of its addresses once it has read that.
 *
 * @param name Of the object, used by nobody else: a repeated create finds its own.
 */
export async function announceEdit(api: ApiClient, name: string, spec: PoolEditSpec): Promise<void> {
  const body: PoolEdit = { apiVersion, kind: 'PoolEdit', metadata: { name }, spec };
  await persist(`create PoolEdit "${name}"`, deadlineIn(writeMs), (timeoutMs) =>
    api.request({ method: 'POST', path: poolEditsPath, query, body, timeoutMs }).catch(unless(409)),
  );
}

/** Notes that every node has read the edit, or will before it gives an address: nobody needs to wait for that again. */
export async function noteKnown(api: ApiClient, name: string): Promise<void> {
  const path = `${poolEditsPath}/${name}`;
  await persist(`update PoolEdit "${name}"`, deadlineIn(writeMs), async (timeoutMs) => {
    const found = await api.request<PoolEdit>({ method: 'GET', path, timeoutMs });
    const body: PoolEdit = { ...found, spec: { ...found.spec, isKnown: true } };
    await api.request({ method: 'PUT', path, query, body, timeoutMs });
  });
}

/** Edits of this pool, as it still is, that every node knows, and will for a while. */
export async function knownEdits(api: ApiClient, pool: EditablePool, nowMs: number): Promise<readonly PoolEditSpec[]> {
  const { items } = await persist('list PoolEdits', deadlineIn(writeMs), (timeoutMs) =>
    listObjects<PoolEdit>(api, { path: poolEditsPath }, deadlineIn(timeoutMs)),
  );
  return items
    .filter((edit) => edit.spec.isKnown === true && isEditOpen(edit, pool, nowMs + reusableBeforeMs))
    .map(({ spec }) => spec);
}

/** An edit has to last until the request that goes by it is over. */
const reusableBeforeMs = 60_000;

/** The edit was refused: its addresses may be given again. Without this they are in 90 s. */
export async function withdrawEdit(api: ApiClient, name: string): Promise<void> {
  await api.request({ method: 'DELETE', path: `${poolEditsPath}/${name}`, timeoutMs: writeMs }).catch(unless(404));
}

/** Removes edits that ended long ago. Not those that just ended: a node may have read its pool before them. */
export async function removeEndedEdits(request: LeaderRequest, nowMs: number): Promise<void> {
  const { items } = await request<{ items: readonly PoolEdit[] }>({ method: 'GET', path: poolEditsPath });
  for (const { metadata } of items) {
    if (nowMs < Date.parse(metadata.creationTimestamp ?? '') + 2 * poolEditMs) continue;
    const { name, uid } = metadata;
    await request({ method: 'DELETE', path: `${poolEditsPath}/${name}`, body: { preconditions: { uid } } }).catch(
      unless(404),
    );
  }
}
