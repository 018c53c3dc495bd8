import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { commandLineFlag } from './command-line-flag.ts';

describe('a flag on a command line', () => {
  it.each([
    ['with an equals sign', ['kube-controller-manager', '--cluster-cidr=10.244.0.0/16'], '10.244.0.0/16'],
    ['as two words', ['kube-controller-manager', '--cluster-cidr', '10.244.0.0/16'], '10.244.0.0/16'],
    ['inside one word of a shell', ['sh', '-c', 'exec kcm --v=2 --cluster-cidr 10.244.0.0/16 -x'], '10.244.0.0/16'],
    ['in quotes', ['sh', '-c', `kcm --cluster-cidr="10.244.0.0/16"`], '10.244.0.0/16'],
    ['given twice: the last counts', ['--cluster-cidr=10.0.0.0/8', '--cluster-cidr', '10.1.0.0/16'], '10.1.0.0/16'],
    ['of two families', ['--cluster-cidr=10.244.0.0/16,fd00::/48'], '10.244.0.0/16,fd00::/48'],
    ['without its value', ['--cluster-cidr'], ''],
    ['with another name', ['--service-cluster-cidr=10.0.0.0/8', '--cluster-cidr-x=1', 'cluster-cidr=2'], undefined],
  ])('is found %s', (_, words, value) => {
    expect(commandLineFlag(words, 'cluster-cidr')).toBe(value);
  });

  it('is found in either form, whatever stands around it', () => {
    const words = fc.array(fc.stringMatching(/^-{0,2}[a-z0-9=./]{1,20}$/).filter((word) => !word.includes('--flag')));
    const value = fc.stringMatching(/^[0-9a-f:./]{1,20}$/);
    fc.assert(
      fc.property(words, words, value, fc.boolean(), (before, after, wanted, isOneWord) => {
        const flag = isOneWord ? [`--flag=${wanted}`] : ['--flag', wanted];
        expect(commandLineFlag([...before, ...flag, ...after], 'flag')).toBe(wanted);
      }),
    );
  });
});
