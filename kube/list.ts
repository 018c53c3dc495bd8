import type { ApiClient } from './api-client.ts';
import { hasStatus } from './api-error.ts';
import type { Deadline } from './persist.ts';

export interface ListRequest {
  readonly path: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Few match: one page without a limit. Before 1.34 an API server asks etcd for all objects to answer a list with a limit. */
  readonly isShort?: boolean;
}

interface ListMeta {
  readonly resourceVersion: string;
  readonly continue?: string;
}

/** A list as it stood at one moment, which its resourceVersion names. */
export interface Listing<Item> {
  readonly items: readonly Item[];
  readonly resourceVersion: string;
}

/** A cell is a string, or null where the object has no such field. */
export type TableRow = Readonly<Record<string, string | null>>;

/**
 * Lists objects. Asks for no resourceVersion, which means the most recent; further pages continue the same moment, and when
 * the server has forgotten that moment (410) all of it is read again.
 */
export async function listObjects<Item>(api: ApiClient, list: ListRequest, deadline: Deadline): Promise<Listing<Item>> {
  const pages = await pagesOf<{ items: readonly Item[]; metadata: ListMeta }>(api, list, {}, deadline);
  return { items: pages.flatMap(({ items }) => items), resourceVersion: pages[0]?.metadata.resourceVersion ?? '' };
}

/** Lists the printer columns only: a tenth of the objects' bytes, and nothing to parse but text. Keys are column names. */
export async function listTable(api: ApiClient, list: ListRequest, deadline: Deadline): Promise<readonly TableRow[]> {
  const pages = await pagesOf<Table>(
    api,
    list,
    { includeObject: 'None' },
    deadline,
    'application/json;as=Table;v=v1;g=meta.k8s.io',
  );
  const columns = pages[0]?.columnDefinitions?.map(({ name }) => name) ?? [];
  return pages.flatMap(({ rows }) =>
    rows.map(({ cells }): TableRow => Object.fromEntries(columns.map((column, at) => [column, cells[at] ?? null]))),
  );
}

interface Table {
  readonly metadata: ListMeta;
  /** Only the first page names the columns. */
  readonly columnDefinitions?: readonly { readonly name: string }[];
  readonly rows: readonly { readonly cells: readonly (string | null)[] }[];
}

const pageSize = 1000;

async function pagesOf<Page extends { readonly metadata: ListMeta }>(
  api: ApiClient,
  { path, labelSelector, fieldSelector, isShort = false }: ListRequest,
  query: Readonly<Record<string, string>>,
  deadline: Deadline,
  accept = 'application/json',
): Promise<readonly Page[]> {
  let pages: Page[] = [];
  let next: string | undefined;
  do {
    try {
      const page = await api.request<Page>({
        method: 'GET',
        path,
        query: { ...query, labelSelector, fieldSelector, ...(isShort ? {} : { limit: pageSize }), continue: next },
        accept,
        timeoutMs: deadline.remainingMs(),
      });
      pages.push(page);
      next = page.metadata.continue === '' ? undefined : page.metadata.continue;
    } catch (error) {
      if (next === undefined || !hasStatus(error, 410)) throw error;
      pages = [];
      next = undefined;
    }
  } while (next !== undefined || pages.length === 0);
  return pages;
}
