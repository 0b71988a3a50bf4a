using MultiAgent.Contracts.Events;

namespace MultiAgent.Hosting.Identity;

/// <summary>
/// Tells all processes at once that a key was revoked, a user changed or a tenant was suspended, so that whoever caches callers forgets them.
/// It is fast and may lose a change; the durable record is the event <see cref="Subjects.CallerChanged"/>.
/// </summary>
public interface ICallerChangeFeed
{
    /// <summary>
    /// True while changes of other processes are known to arrive here. While it is false, a cached caller may be believed for a second at most.
    /// </summary>
    bool HearsOthers { get; }

    /// <summary>
    /// True while all those processes are heard that have said that they tell of changes. One that is not may be cut off, and its changes with it: a cached caller is then to be
    /// checked, where that is possible.
    /// </summary>
    bool HearsTellers { get; }

    /// <summary>From now on this process tells of changes; the others miss it when they do not hear it.</summary>
    void BeginTelling();

    /// <summary>Tells of a change that is committed: the subscribers of this process before this returns, other processes right after.</summary>
    void Raise(CallerChanged change);

    /// <summary>Subscribes until the result is disposed of.</summary>
    /// <param name="changed">Called for each change, of this and of other processes. Must be quick and must not throw.</param>
    /// <param name="missed">Called when changes may have been missed: forget every caller.</param>
    IDisposable Subscribe(Action<CallerChanged> changed, Action missed);
}

/// <summary>The subscribers of one process, for implementations of <see cref="ICallerChangeFeed"/>.</summary>
public sealed class CallerChangeSubscribers
{
    private volatile Subscription[] _subscriptions = [];

    /// <summary>Adds a subscriber until the result is disposed of.</summary>
    public IDisposable Add(Action<CallerChanged> changed, Action missed)
    {
        var subscription = new Subscription(this, changed, missed);
        Replace(all => [.. all, subscription]);
        return subscription;
    }

    /// <summary>Tells every subscriber of a change.</summary>
    public void Tell(CallerChanged change)
    {
        foreach (Subscription subscription in _subscriptions) subscription.Changed(change);
    }

    /// <summary>Tells every subscriber that changes may have been missed.</summary>
    public void TellMissed()
    {
        foreach (Subscription subscription in _subscriptions) subscription.Missed();
    }

    private void Replace(Func<Subscription[], Subscription[]> change)
    {
        while (true)
        {
            Subscription[] seen = _subscriptions;
            if (Interlocked.CompareExchange(ref _subscriptions, change(seen), seen) == seen) return;
        }
    }

    private sealed class Subscription(CallerChangeSubscribers owner, Action<CallerChanged> changed, Action missed) : IDisposable
    {
        public Action<CallerChanged> Changed => changed;

        public Action Missed => missed;

        public void Dispose() => owner.Replace(all => [.. all.Where(s => s != this)]);
    }
}

/// <summary>Changes of this process alone.</summary>
public sealed class LocalCallerChangeFeed : ICallerChangeFeed
{
    private readonly CallerChangeSubscribers _subscribers = new();

    public bool HearsOthers => false;

    public bool HearsTellers => true;

    public void BeginTelling()
    {
        // Nobody else listens.
    }

    public void Raise(CallerChanged change) => _subscribers.Tell(change);

    public IDisposable Subscribe(Action<CallerChanged> changed, Action missed) => _subscribers.Add(changed, missed);
}
