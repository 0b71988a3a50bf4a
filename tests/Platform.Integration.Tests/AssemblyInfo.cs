// Each collection hosts a platform of its own; more than two at once would only wait for each other on a small machine.
[assembly: CollectionBehavior(MaxParallelThreads = 2)]
