/**
 * Waits for all of them to end, and only then throws the first failure: cleaning up must not race with what still goes on.
 */
export async function together<const T extends readonly unknown[]>(
  tasks: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(tasks);
  return Promise.all(tasks) as Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>;
}
