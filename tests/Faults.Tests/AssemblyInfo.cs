// One stack at a time: on two cores two would starve each other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
