import { join } from 'node:path';

export type Accelerator = 'kvm' | 'tcg';

export interface GuestHardware {
  readonly accelerator: Accelerator;
  readonly memoryMiB: number;
  readonly cpus: number;
}

/** Folders and sockets of this machine that the guest is tied to. */
export interface GuestSite {
  /** The part `guest`. */
  readonly system: string;
  /** Written by the guest: /run/guest there. Also holds the sockets `stdout` and `stderr`, and the console's log. */
  readonly scratch: string;
  /** One more folder for the guest to write to, /run/share there. */
  readonly share?: string;
}

/**
 * Arguments of QEMU for one guest. It has two SR-IOV NICs (igb) on one switch behind a virtual IOMMU: PFs 0000:01:00.0, the node's,
 * and 0000:02:00.0, the port of the outside world. Nothing leads out of the process: the switch is a hub in QEMU's memory.
 */
export function qemuArguments({ accelerator, memoryMiB, cpus }: GuestHardware, site: GuestSite): readonly string[] {
  const { system, scratch, share } = site;
  const firmware = ['usr/share/qemu', 'usr/share/seabios', 'usr/lib/ipxe/qemu'];
  const kernelLine = 'console=ttyS0 quiet panic=-1 oops=panic mitigations=off nokaslr intel_iommu=on';
  return [
    ...firmware.map((path) => ['-L', join(system, 'qemu', path)]),
    ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-monitor', 'none'],
    ['-M', 'q35', ...processors[accelerator], '-m', String(memoryMiB), '-smp', String(cpus)],
    ['-kernel', join(system, 'vmlinuz'), '-initrd', join(system, 'initrd'), '-append', kernelLine],
    ['-serial', `file:${join(scratch, 'console.log')}`, '-device', 'virtio-rng-pci'],
    ['-device', 'intel-iommu,intremap=off'], // before what it serves
    ['-device', 'virtio-serial-pci'],
    ...['stdout', 'stderr'].map((name) => stream(name, scratch)),
    folder('machine', '/', 'readonly=on,multidevs=remap'),
    folder('programs', join(system, 'programs'), 'readonly=on'),
    folder('guest', scratch, 'readonly=off'),
    ...(share === undefined ? [] : [folder('share', share, 'readonly=off')]),
    ...[1, 2].map(port),
  ].flat();
}

const processors: Readonly<Record<Accelerator, readonly string[]>> = {
  tcg: ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max,-la57'],
  kvm: ['-accel', 'kvm', '-cpu', 'host,-la57'],
};

const stream = (name: string, scratch: string): readonly string[] => {
  const chardev = `socket,id=${name},path=${join(scratch, name)},server=off`;
  return ['-chardev', chardev, '-device', `virtserialport,chardev=${name},name=${name}`];
};

const folder = (tag: string, path: string, access: string): readonly string[] => {
  const fsdev = `local,id=${tag},path=${path},security_model=none,${access}`;
  return ['-fsdev', fsdev, '-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`];
};

const port = (number: number): readonly string[] => {
  const rootPort = `pcie-root-port,id=port${number},chassis=${number},slot=${number}`;
  const nic = `igb,bus=port${number},netdev=hub${number},mac=52:54:00:00:0${number}:00`;
  return ['-device', rootPort, '-netdev', `hubport,id=hub${number},hubid=1`, '-device', nic];
};

/**
 * KVM only where it can run a stock kernel: `kvm_pvm` gives a /dev/kvm on machines without vmx and svm, and a guest under it stops
 * at its first privileged instruction (notes of the test bed's measurements in README.md).
 */
export function chooseAccelerator(machine: {
  readonly canWriteKvm: boolean;
  readonly cpuinfo: string;
  readonly hasKvmPvm: boolean;
}): Accelerator {
  return machine.canWriteKvm && /\b(vmx|svm)\b/.test(machine.cpuinfo) && !machine.hasKvmPvm ? 'kvm' : 'tcg';
}
