/**
 * JSON as Go's decoder reads it, because Spiderpool's users wrote theirs for it: keys match without regard to case, the last
 * of two equal keys counts, null is absent, unknown keys are ignored, and a wrong type fails the whole text.
 */
export type JsonReading =
  | { readonly outcome: 'value'; readonly value: unknown }
  | { readonly outcome: 'invalid'; readonly problem: string };

/** Parses a text; a problem is the rest of a sentence that begins with "it". */
export function parseJson(text: string): JsonReading {
  try {
    return { outcome: 'value', value: JSON.parse(text) };
  } catch {
    return { outcome: 'invalid', problem: 'is not JSON' };
  }
}

/** The values of these keys (in lower case) in an object; `undefined` when it is none. Null is an object without keys. */
export function fieldsOf<Key extends string>(
  value: unknown,
  keys: readonly Key[],
): Partial<Record<Key, unknown>> | undefined {
  if (typeof value !== 'object' || Array.isArray(value)) return undefined;
  const fields: Partial<Record<Key, unknown>> = {};
  for (const [spelled, field] of Object.entries(value ?? {})) {
    const key = keys.find((known) => known === spelled.toLowerCase());
    if (key !== undefined) fields[key] = field ?? undefined;
  }
  return fields;
}
