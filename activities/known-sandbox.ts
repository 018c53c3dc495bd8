import { type Attachment, attachmentKey, type PodIdentity } from '../contracts/attachment.ts';
import type { ClaimHolder } from '../contracts/ip-claim.ts';
import type { SandboxPlace } from './look-for-proof.ts';
import type { AttachmentRecord } from './node-ports.ts';

/** A sandbox as records and claims tell of it, with everything that a DEL would take away. */
export interface KnownSandbox {
  readonly containerID: string;
  readonly pod: PodIdentity;
  readonly attachments: readonly Attachment[];
  /** One, unless they contradict each other. */
  readonly places: readonly SandboxPlace[];
}

/** The sandboxes behind records and holders, each once. */
export function knownSandboxes(
  records: readonly AttachmentRecord[],
  holders: readonly ClaimHolder[],
): readonly KnownSandbox[] {
  const told = [...records.map(toldByRecord), ...holders.map(toldByHolder)];
  return [...Map.groupBy(told, ({ attachment }) => attachment.containerID)].flatMap(([containerID, all]) => {
    const [first] = all;
    if (first === undefined) return [];
    const attachments = distinct(all, ({ attachment }) => attachmentKey(attachment));
    const places = distinct(all, ({ place }) => Object.values(place).join(' '));
    return [
      {
        containerID,
        pod: first.pod,
        attachments: attachments.map(({ attachment }) => attachment),
        places: places.map(({ place }) => place),
      },
    ];
  });
}

interface Told {
  readonly pod: PodIdentity;
  readonly attachment: Attachment;
  readonly place: SandboxPlace;
}

const toldByRecord = ({ attachment, pod, netns, netnsCookie }: AttachmentRecord): Told => ({
  pod,
  attachment,
  place: { netns, netnsCookie },
});

function toldByHolder(holder: ClaimHolder): Told {
  const { namespace, pod, podUID, interface: ifName, network, containerID } = holder;
  const { netns, netnsCookie, machineID, bootID } = holder;
  return {
    pod: { namespace, name: pod, uid: podUID },
    attachment: { containerID, network, ifName, kind: 'attach' },
    place: { netns, netnsCookie, machineID, bootID },
  };
}

const distinct = <Item>(items: readonly Item[], keyOf: (item: Item) => string): readonly Item[] => [
  ...new Map(items.map((item) => [keyOf(item), item])).values(),
];
