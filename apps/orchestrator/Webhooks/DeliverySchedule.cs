namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>When a delivery that failed is tried again.</summary>
internal static class DeliverySchedule
{
    // About three days in all.
    private static readonly TimeSpan[] Pauses =
    [
        TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(30), TimeSpan.FromHours(2), TimeSpan.FromHours(5), TimeSpan.FromHours(10), TimeSpan.FromHours(14),
        TimeSpan.FromHours(18), TimeSpan.FromHours(24),
    ];

    private static readonly TimeSpan LongestAsked = TimeSpan.FromHours(24);

    /// <summary>Attempts in all.</summary>
    public static int MaxAttempts => Pauses.Length + 1;

    /// <summary>The pause before the next attempt; null when there is none.</summary>
    /// <param name="attempts">Attempts that were made, this one included.</param>
    /// <param name="asked">What the receiver asked for with <c>Retry-After</c>.</param>
    /// <param name="chance">0 to 1, so that what failed together does not come back together.</param>
    public static TimeSpan? After(int attempts, TimeSpan? asked, double chance)
    {
        if (attempts >= MaxAttempts) return null;
        TimeSpan pause = Pauses[attempts - 1] * (0.8 + 0.4 * chance);
        TimeSpan least = asked is not { } given ? TimeSpan.Zero : given < LongestAsked ? given : LongestAsked;
        return pause > least ? pause : least;
    }
}
