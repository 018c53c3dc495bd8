/**
 * Names for what a plan cannot know yet. It is made with values that could be, so that every rule of the planners holds; a reader
 * sees their names.
 */
export class StandIns {
  readonly #names = new Map<string, string>();

  /** `value` is shown as `name` wherever it stands by itself. */
  add(value: string, name: string): void {
    this.#names.set(value, name);
  }

  /** A text in which every value is named. */
  named(text: string): string {
    if (this.#names.size === 0) return text;
    const values = [...this.#names.keys()].toSorted((one, other) => other.length - one.length).map(literally);
    const whole = new RegExp(`(?<![\\w.:])(?:${values.join('|')})(?![\\w:]|\\.\\d)`, 'g');
    return text.replace(whole, (value) => this.#names.get(value) ?? value);
  }
}

const literally = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
