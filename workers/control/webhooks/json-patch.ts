import { isDeepStrictEqual } from 'node:util';

export type JsonObject = Readonly<Record<string, unknown>>;

/** One step of a JSON patch (RFC 6902). */
export type PatchStep =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/**
 * The patch that makes `after` of `before`: fields that differ are replaced as a whole, those of `metadata` and `spec` one by
 * one. Nothing below is compared, so a patch may carry more than it must, never less.
 */
export function jsonPatch(before: JsonObject, after: JsonObject): readonly PatchStep[] {
  return fieldsThatDiffer(before, after).flatMap((key): readonly PatchStep[] => {
    const [from, to] = [before[key], after[key]];
    const isOpened = (key === 'metadata' || key === 'spec') && isObject(from) && isObject(to);
    return isOpened ? stepsFor(from, to, pointer(key)) : stepsFor({ [key]: from }, { [key]: to }, '');
  });
}

function stepsFor(before: JsonObject, after: JsonObject, parent: string): readonly PatchStep[] {
  return fieldsThatDiffer(before, after).map((key) => {
    const path = parent + pointer(key);
    if (after[key] === undefined) return { op: 'remove', path };
    return { op: before[key] === undefined ? 'add' : 'replace', path, value: after[key] };
  });
}

const fieldsThatDiffer = (before: JsonObject, after: JsonObject): readonly string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (key) => !isDeepStrictEqual(before[key], after[key]),
  );

/** RFC 6901, section 3. */
const pointer = (key: string): string => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
