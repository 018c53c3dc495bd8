/**
 * What one CNI call of one plugin does for one interface. Chained plugins share a network and an interface name, so the
 * kind tells them apart: `prepare` (ifacer), `attach` (IPAM or the whole interface), `rdma`, `coordinate` (coordinator).
 */
export interface Attachment {
  readonly containerID: string;
  /** `name` of the network configuration. */
  readonly network: string;
  /** Name inside the pod, for example "eth0". At most 15 bytes: the kernel's IFNAMSIZ (16) less the terminator. */
  readonly ifName: string;
  readonly kind: AttachmentKind;
}

export type AttachmentKind = 'prepare' | 'attach' | 'rdma' | 'coordinate';

/** The pod whose sandbox a request is about, as the runtime names it in CNI_ARGS. */
export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  /** Empty when the runtime did not pass K8S_POD_UID; the pod object then decides. */
  readonly uid: string;
}

export const attachmentKey = ({ network, ifName, kind }: Attachment): string => `${network}/${ifName}/${kind}`;

/** One workflow per sandbox; kubelet's retry is a new sandbox and so a new run. */
export const podNetworkId = (pod: PodIdentity, containerID: string): string =>
  `pod/${pod.namespace}/${pod.name}/${containerID}`;

/** Names the call, so that a call repeated after a lost reply meets its own outcome and no other call's. */
export const updateId = (command: 'add' | 'detach', attachment: Attachment, nonce: string): string =>
  `${command}/${attachment.kind}/${attachment.containerID}/${attachment.network}/${attachment.ifName}/${nonce}`;
