import type { AttachmentReport, ReportedFact } from '../contracts/node-report.ts';
import type { Paint } from './paint.ts';

/** What an attachment is in the kernel, line by line; what differs from what it should be is marked, and said first. */
export const renderAttachment = ({ attachment, differences, facts }: AttachmentReport, paint: Paint): string => {
  const { ifName, network, kind } = attachment;
  const wrong = differences.length > 0 || facts.some(({ state }) => state !== 'right');
  const verdict = wrong ? paint('bad', 'not as it should be') : paint('good', 'as it should be');
  return [
    `${ifName}, network ${network}, ${kind}: ${verdict}`,
    ...differences.map((difference) => `  ${difference}`),
    ...facts.map((fact) => renderFact(fact, paint)),
  ].join('\n');
};

function renderFact({ at, what, state }: ReportedFact, paint: Paint): string {
  const line = `${marks[state]} ${at.padEnd(4)}  ${what}`;
  return state === 'right' ? line : paint('bad', line);
}

/** As diff(1) marks what has to come and what has to go. */
const marks = { right: ' ', missing: '+', surplus: '-' } as const satisfies Record<ReportedFact['state'], string>;
