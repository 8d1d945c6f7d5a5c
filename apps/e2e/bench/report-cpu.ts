/*
 * Loaded before the program of a measured process: answers every message `cpu` of its parent with the CPU time that all its
 * threads have taken so far, in microseconds.
 */
process.on('message', (message) => {
  if (message !== 'cpu') return;
  const { user, system } = process.cpuUsage();
  process.send?.({ cpu: user + system });
});
process.on('disconnect', () => process.exit(0));
