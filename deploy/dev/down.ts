/** `node deploy/dev/down.ts [ID | DIRECTORY … | --all]`: ends stacks, the only one that runs if none is named. */
import { parseArgs } from 'node:util';
import { idOfDirectory, isStackId, stackDirectory } from './layout.ts';
import { findLeftovers, findStacks, teardown } from './teardown.ts';

const { values, positionals } = parseArgs({
  options: { all: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const running = await findStacks();
const chosen = positionals.length > 0 ? positionals : running;
if (chosen.length === 0) console.log('No stack runs');
if (positionals.length === 0 && running.length > 1 && !values.all) {
  console.error(`Several stacks run: ${running.join(', ')}. Name the ones to end, or say --all.`);
  process.exit(1);
}
for (const name of chosen) {
  const id = isStackId(name) ? name : idOfDirectory(name);
  if (id === undefined) {
    console.error(`${name} is neither the id nor the directory of a stack`);
    process.exit(1);
  }
  const directory = isStackId(name) ? stackDirectory(id) : name;
  await teardown(id, directory);
  const left = await findLeftovers(id, directory);
  console.log(
    left.length === 0
      ? `Stack ${id} has ended, nothing is left`
      : `Stack ${id} has ended but for:\n  ${left.join('\n  ')}`,
  );
  if (left.length > 0) process.exitCode = 1;
}
