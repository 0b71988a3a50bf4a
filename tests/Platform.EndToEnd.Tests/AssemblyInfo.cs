// Processes that start side by side would starve each other on a small machine.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
