/** A value that a user wrote, as a message shows it: on one line, and cut where it would drown the sentence. */
export function shownValue(text: string): string {
  const line = text.replaceAll(/[\s\p{Cc}]+/gu, ' ');
  return (line.length <= 253 ? line : `${line.slice(0, 250)}…`).toWellFormed(); // 253: the longest name of an object
}
