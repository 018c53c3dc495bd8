/** A pattern by the rules of Go's filepath.Match, which Spiderpool's users know; it matches a whole name. */
export type Glob =
  | { readonly outcome: 'glob'; readonly tokens: readonly Token[] }
  | { readonly outcome: 'malformed'; readonly problem: string };

type Token =
  | { readonly kind: 'any sequence' }
  | { readonly kind: 'any character' }
  | { readonly kind: 'character'; readonly character: string }
  | { readonly kind: 'set'; readonly isNegated: boolean; readonly ranges: readonly Range[] };

interface Range {
  readonly first: string;
  readonly last: string;
}

/** Whether a text means other names than itself. Names of pools have none of these characters. */
export const isGlob = (text: string): boolean => /[*?[\\]/.test(text);

/**
 * Reads `*`, `?`, `[abc]`, `[a-z]`, `[^a-z]` and `\` before a character that means itself. Pool names have no slash, at which
 * `*` and `?` would stop.
 */
export function parseGlob(pattern: string): Glob {
  const tokens: Token[] = [];
  const rest = new Characters(pattern);
  try {
    for (;;) {
      const character = rest.take();
      if (character === undefined) return { outcome: 'glob', tokens };
      if (character === '*') tokens.push({ kind: 'any sequence' });
      else if (character === '?') tokens.push({ kind: 'any character' });
      else if (character === '[') tokens.push(readSet(rest));
      else tokens.push({ kind: 'character', character: character === '\\' ? rest.escaped() : character });
    }
  } catch (error) {
    if (error instanceof MalformedGlob) return { outcome: 'malformed', problem: error.message };
    throw error;
  }
}

/** Whether the pattern matches this whole name, which is ASCII. O(tokens × characters): no pattern makes it slower than that. */
export function globMatches(tokens: readonly Token[], name: string): boolean {
  let [token, at] = [0, 0];
  /** Where the last `*` stands, and the first character that it does not cover yet. */
  let star: { readonly token: number; readonly at: number } | undefined;
  while (at < name.length || token < tokens.length) {
    const [expected, character] = [tokens[token], name[at]];
    if (expected?.kind === 'any sequence') {
      star = { token, at };
      token += 1;
    } else if (expected !== undefined && character !== undefined && isMatch(expected, character)) {
      token += 1;
      at += 1;
    } else if (star !== undefined && star.at < name.length) {
      star = { token: star.token, at: star.at + 1 };
      token = star.token + 1;
      at = star.at;
    } else {
      return false;
    }
  }
  return true;
}

function isMatch(token: Exclude<Token, { kind: 'any sequence' }>, character: string): boolean {
  switch (token.kind) {
    case 'any character':
      return true;
    case 'character':
      return token.character === character;
    case 'set':
      return token.ranges.some(({ first, last }) => isBetween(first, character, last)) !== token.isNegated;
  }
}

/** By code point, as Go compares; a range that ends before it starts holds nothing. */
const isBetween = (first: string, character: string, last: string): boolean =>
  codeOf(first) <= codeOf(character) && codeOf(character) <= codeOf(last);

const codeOf = (character: string): number => character.codePointAt(0) ?? 0;

/** After the "[". A set holds at least one range; "]" and "-" mean themselves only behind a "\". */
function readSet(rest: Characters): Token {
  const isNegated = rest.takeIf('^');
  const ranges: Range[] = [];
  do {
    const first = rest.inSet();
    ranges.push({ first, last: rest.takeIf('-') ? rest.inSet() : first });
  } while (!rest.takeIf(']'));
  return { kind: 'set', isNegated, ranges };
}

class MalformedGlob extends Error {}

class Characters {
  readonly #characters: readonly string[];
  #next = 0;

  constructor(text: string) {
    this.#characters = Array.from(text);
  }

  take(): string | undefined {
    return this.#characters[this.#next++];
  }

  takeIf(character: string): boolean {
    const isNext = this.#characters[this.#next] === character;
    if (isNext) this.#next += 1;
    return isNext;
  }

  /** The character behind a "\". */
  escaped(): string {
    const character = this.take();
    if (character === undefined) throw new MalformedGlob('ends with "\\"');
    return character;
  }

  inSet(): string {
    const character = this.take();
    if (character === undefined) throw new MalformedGlob('has a "[" without "]"');
    if (character === ']') throw new MalformedGlob('has an empty set or an open range in "[…]"');
    if (character === '-') throw new MalformedGlob('has a "-" in "[…]" that is no range: write "\\-"');
    return character === '\\' ? this.escaped() : character;
  }
}
