import { describe, expect, it } from '@jest/globals';
import { chooseAccelerator, qemuArguments } from './qemu-command.ts';

describe('the accelerator', () => {
  const machine = { canWriteKvm: true, cpuinfo: 'flags : fpu vmx sse', hasKvmPvm: false };

  it('is KVM where the processor virtualises', () => {
    expect(chooseAccelerator(machine)).toBe('kvm');
    expect(chooseAccelerator({ ...machine, cpuinfo: 'flags : fpu svm' })).toBe('kvm');
  });

  it.each([
    ['/dev/kvm cannot be written', { canWriteKvm: false }],
    ['the processor has neither vmx nor svm', { cpuinfo: 'flags : fpu svm_lock vmxoff' }],
    ['KVM is kvm_pvm, which runs paravirtual kernels only', { hasKvmPvm: true }],
  ])('is TCG when %s', (_, change) => {
    expect(chooseAccelerator({ ...machine, ...change })).toBe('tcg');
  });
});

describe('a guest', () => {
  const hardware = { accelerator: 'tcg', memoryMiB: 1024, cpus: 2 } as const;
  const site = { system: '/guest', scratch: '/scratch' };
  const textOf = (share?: string): string =>
    qemuArguments(hardware, share === undefined ? site : { ...site, share }).join(' ');

  it('may write nothing of the machine but its scratch folder and what it is given', () => {
    const writable = (text: string) => [...text.matchAll(/path=([^,]*),security_model=none,readonly=off/g)];
    expect(writable(textOf()).map(([, path]) => path)).toEqual(['/scratch']);
    expect(writable(textOf('/share')).map(([, path]) => path)).toEqual(['/scratch', '/share']);
    expect(textOf()).toContain('path=/,security_model=none,readonly=on');
  });

  it('has no network but a hub of its own', () => {
    const networks = [...textOf().matchAll(/-netdev (\S+)/g)].map(([, network]) => network);
    expect(networks).toEqual(['hubport,id=hub1,hubid=1', 'hubport,id=hub2,hubid=1']);
    expect(textOf()).toContain('-nodefaults');
  });

  it('has its IOMMU before the devices behind it', () => {
    const text = textOf();
    expect(text.indexOf('intel-iommu')).toBeLessThan(text.indexOf('igb,'));
  });
});
