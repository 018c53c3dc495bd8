import { coordinationSpec, yieldsDefaultRoute } from '../../activities/coordinate.ts';
import type { AttachmentRecord } from '../../activities/node-ports.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import type { AttachmentReport, SandboxQuestion, SandboxReport } from '../../contracts/node-report.ts';
import type { Kernel } from '../../kernel/kernel.ts';

export interface SandboxReportSources {
  readonly node: string;
  readonly records: { list(): Promise<readonly AttachmentRecord[]> };
  readonly kernel: Pick<Kernel, 'lookAt'>;
  /** As CHECK tells them. */
  readonly differences: (record: AttachmentRecord) => Promise<readonly string[]>;
}

/** What this worker sees of one pod when `orb explain` asks. */
export const createSandboxReport =
  ({ node, records, kernel, differences }: SandboxReportSources) =>
  async ({ namespace, name, containerID }: SandboxQuestion): Promise<SandboxReport> => {
    const its = (await records.list()).filter(
      ({ pod, attachment }) =>
        pod.namespace === namespace &&
        pod.name === name &&
        (containerID === undefined || attachment.containerID === containerID),
    );
    return { node, attachments: await Promise.all(its.map(report)) };

    async function report(record: AttachmentRecord): Promise<AttachmentReport> {
      const { attachment } = record;
      try {
        const [{ facts, obstacles }, found] = await Promise.all([
          kernel.lookAt(lookSpec(record)),
          record.doneResult === undefined ? ['it is being attached, or detached'] : differences(record),
        ]);
        return { attachment, facts, differences: [...new Set([...found, ...obstacles])] };
      } catch (error) {
        if (!(error instanceof ProvisionError)) throw error;
        return { attachment, facts: [], differences: [error.message] };
      }
    }
  };

function lookSpec(record: AttachmentRecord): Parameters<Kernel['lookAt']>[0] {
  const { attachment, netns, netnsCookie, link, shared = [], coordination, addresses } = record;
  const { containerID, ifName } = attachment;
  const place = { containerID, ifName, netns, netnsCookie };
  const yields = { yieldsDefaultRoute: yieldsDefaultRoute(coordination) };
  return {
    ...place,
    shared,
    ...(link === undefined ? {} : { plumb: { ...place, ...yields, link, addresses } }),
    ...(coordination === undefined ? {} : { coordination: coordinationSpec(record, coordination) }),
  };
}
