namespace MultiAgent.Hosting.Identity;

/// <summary>
/// The processes that tell of changes, for implementations of <see cref="ICallerChangeFeed"/>. Each gives signs of life; one that has given them and
/// falls silent was cut off, or has died. Which of the two, nobody can tell from here.
/// </summary>
/// <param name="silence">How long none may come.</param>
/// <param name="time">The time.</param>
public sealed class CallerTellers(TimeSpan silence, TimeProvider time)
{
    /// <summary>How long a silent one is missed. One that was killed is never heard again.</summary>
    public static readonly TimeSpan Missed = TimeSpan.FromMinutes(10);

    private readonly Lock _lock = new();
    private volatile Teller[] _tellers = [];

    /// <summary>True while each of them is heard. Quick: it is asked on each request.</summary>
    public bool AllHeard
    {
        get
        {
            foreach (Teller teller in _tellers)
            {
                TimeSpan silent = time.GetElapsedTime(Volatile.Read(ref teller.HeardAt));
                if (silent >= silence && silent < Missed) return false;
            }
            return true;
        }
    }

    /// <summary>A sign of life.</summary>
    /// <param name="process">Whose.</param>
    /// <param name="number">How many changes it has told so far; -1 where it does not say.</param>
    /// <returns>False when changes of its were missed.</returns>
    public bool Hear(string process, long number = -1)
    {
        lock (_lock)
        {
            Teller? known = _tellers.FirstOrDefault(t => t.Process == process);
            if (known is null)
            {
                _tellers = [.. _tellers.Where(t => time.GetElapsedTime(t.HeardAt) < Missed), new Teller(process) { HeardAt = time.GetTimestamp(), Number = number }];
                return true;
            }
            bool whole = number <= known.Number;
            known.Number = Math.Max(known.Number, number);
            Volatile.Write(ref known.HeardAt, time.GetTimestamp());
            return whole;
        }
    }

    /// <summary>A change came, and this is its number; the one that comes next is the next.</summary>
    /// <returns>False when changes before it were missed.</returns>
    public bool Count(string process, long number)
    {
        lock (_lock)
        {
            Teller? known = _tellers.FirstOrDefault(t => t.Process == process);
            if (known is null) return true;
            bool whole = number <= known.Number + 1;
            known.Number = Math.Max(known.Number, number);
            return whole;
        }
    }

    /// <summary>It has said that it goes.</summary>
    public void Leave(string process)
    {
        lock (_lock) _tellers = [.. _tellers.Where(t => t.Process != process)];
    }

    private sealed class Teller(string process)
    {
        public string Process => process;

        public long HeardAt;

        public long Number;
    }
}
