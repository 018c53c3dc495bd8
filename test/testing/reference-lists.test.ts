import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { badNetworks } from '../e2e/bad-networks.ts';

/** Rows of all tables of a text, as cells. */
const rowsOf = (text: string): readonly (readonly string[])[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (id|#|-+) /.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
/** Files that a cell names in backquotes, wildcards included. */
const filesIn = (cell: string): readonly string[] =>
  [...cell.matchAll(/`([^`]+)`/g)].flatMap(([, name = '']) => (/[*{]/.test(name) ? globSync(name).toSorted() : [name]));

/** Cases of §11.1 to §11.7 that Spiderpool runs, and those that issue C names beside them; A00012 is the coordinator's. */
const active = [
  ...numbered('E', 1, 10),
  ...numbered('A', 2, 11),
  ...numbered('A', 13, 18),
  ...numbered('L', 1, 9),
  ...numbered('D', 1, 3),
  ...numbered('D', 8, 17),
  ...numbered('S', 1, 3),
  ...numbered('I', 15, 24),
  ...numbered('T', 1, 5),
  'D00006',
  'F00003',
  'I00003',
  'I00006',
  'I00008',
  'I00011',
  'I00012',
  'K00001',
  'M00036',
  'M00037',
  'P00002',
];

/** Of spec §10: coordinator, SpiderCoordinator, ifacer, and the annotation for the default route's interface. */
const ofConnectivity = [...numbered('C', 1, 24), ...numbered('V', 1, 11), ...numbered('N', 1, 6), 'A00012'];

function numbered(letter: string, first: number, last: number): readonly string[] {
  return Array.from({ length: last - first + 1 }, (_, at) => `${letter}${String(first + at).padStart(5, '0')}`);
}

describe('the list of Spiderpool’s cases', () => {
  const rows = rowsOf(readFileSync('docs/reference/spiderpool-e2e.md', 'utf8')).map(
    ([ids = '', , tests = '', state = '']) => ({
      ids: ids.split(', ').filter((id) => /^[A-Z]\d{5}$/.test(id)),
      files: filesIn(tests),
      state,
    }),
  );

  it('has every active case as a test on a cluster', () => {
    const onCluster = rows.filter(({ state }) => state.startsWith('e2e')).flatMap(({ ids }) => ids);
    expect(active.filter((id) => !onCluster.includes(id))).toEqual([]);
  });

  it('has every case of coordinator and ifacer on a cluster, an API server or a kernel', () => {
    const real = rows.filter(({ state }) => /^(e2e|integration|guest|kernel)/.test(state)).flatMap(({ ids }) => ids);
    expect(ofConnectivity.filter((id) => !real.includes(id))).toEqual([]);
  });

  it('has no case twice, and names tests that have its id', () => {
    const ids = rows.flatMap((row) => row.ids);
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
    const dangling = rows.flatMap(({ ids, files }) =>
      ids.flatMap((id) => files.filter((file) => !hasText(file, id)).map((file) => `${id} in ${file}`)),
    );
    expect(dangling).toEqual([]);
  });

  it('says e2e of tests on a cluster only', () => {
    const odd = rows.filter(
      ({ state, files }) => state.includes('e2e') !== files.some((file) => file.includes('/e2e/')),
    );
    expect(odd).toEqual([]);
  });
});

describe('the list of Spiderpool’s defects', () => {
  const [addresses = '', network = ''] = readFileSync('docs/reference/spiderpool-defects.md', 'utf8').split('\n## ');
  const rows = rowsOf(addresses);
  const ofNetwork = rowsOf(network);

  it('has all 35 of addresses, each with a test', () => {
    expect(rows.map(([number]) => Number(number))).toEqual(Array.from({ length: 35 }, (_, at) => at + 1));
    expect(rows.filter(([, , , tests = '']) => filesIn(tests).length === 0)).toEqual([]);
  });

  it('has all 20 of the network, each with a test, a reason why it cannot occur, or the word that it is open', () => {
    expect(ofNetwork.map(([number]) => Number(number))).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
    const unheld = ofNetwork.filter(
      ([, , , tests = '']) => !/^(by construction|\*\*open\*\*)/.test(tests) && filesIn(tests).length === 0,
    );
    expect(unheld).toEqual([]);
  });

  it('names tests that are there, and by their number where it says so', () => {
    const dangling = [...rows, ...ofNetwork].flatMap(([number = '', , , tests = '']) =>
      tests.split(/(?<=`[^`]*`[^`]*), /).flatMap((entry) => {
        const files = filesIn(entry);
        const missing = files.filter((file) => !existsSync(file));
        const isNumbered = new RegExp(`§12\\.3 (?:#\\d+, )*#${number}(?!\\d)`).test(entry);
        const unnumbered = isNumbered && !files.some((file) => existsSync(file) && isNamed(file, number));
        return [...missing, ...(unnumbered ? [`§12.3 #${number} in ${files.join()}`] : [])];
      }),
    );
    expect(dangling).toEqual([]);
  });
});

describe('the list of bad input', () => {
  const text = readFileSync('docs/reference/bad-input.md', 'utf8');

  it('has every network that is tried, in the words that are expected', () => {
    const listed = rowsOf(text).map(([name, type, message = '']) => [
      name,
      type,
      message.replaceAll(/^`+ ?| ?`+$/g, ''),
    ]);
    const tried = badNetworks.map(({ name, type, code, message }) => [
      name,
      `${type}, ${code}`,
      message.replace('CONTAINER', '5b1e…'),
    ]);
    expect(listed).toEqual(expect.arrayContaining(tried));
  });

  it('names files that are there', () => {
    const files = [...text.matchAll(/`([a-z][\w./-]+\.ts)`/g)].map(([, file = '']) => file);
    expect(files.length).toBeGreaterThan(10);
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
  });
});

const hasText = (file: string, text: string): boolean => existsSync(file) && readFileSync(file, 'utf8').includes(text);
const isNamed = (file: string, number: string): boolean =>
  new RegExp(`§12\\.3 (?:#\\d+, )*#${number}(?!\\d)`).test(readFileSync(file, 'utf8'));
