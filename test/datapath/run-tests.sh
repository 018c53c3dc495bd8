#!/bin/sh
# In the guest: runs tests, a line for each as it ends and a limit for each; what they leave running does not hold it up. Arguments: files, and options of `node --test`.
exec node --test --test-isolation=none --test-timeout=120000 --test-force-exit \
  --test-reporter=./test/datapath/progress-reporter.ts --test-reporter-destination=stdout "$@"
