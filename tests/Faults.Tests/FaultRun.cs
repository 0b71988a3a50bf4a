namespace MultiAgent.Faults.Tests;

internal static class FaultRun
{
    private const int Before = 10;

    /// <summary>How long a fault lasts.</summary>
    public static readonly TimeSpan During = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan Recovery = TimeSpan.FromSeconds(10);

    /// <summary>Runs one fault under load, checks what is promised, and adds its line to the table.</summary>
    public static Task UnderLoadAsync(this Stack stack, string fault, Func<Task> begin, Func<Task> end, bool brokenConnections = false, TimeSpan? during = null)
    {
        Assert.SkipWhen(Stack.Missing is not null, Stack.Missing ?? "");
        return UnderLoadAsync(stack.Gateway, fault, begin, end, brokenConnections, during);
    }

    /// <summary>The same on a server by itself.</summary>
    public static async Task UnderLoadAsync(Uri gateway, string fault, Func<Task> begin, Func<Task> end, bool brokenConnections = false, TimeSpan? during = null, TimeSpan lookBack = default)
    {
        DateTimeOffset from = TimeProvider.System.GetUtcNow() - lookBack;
        await using var load = new Load(gateway, $"f{from.ToUnixTimeMilliseconds()}");
        await AgentAsync(load.Client);
        load.Start();
        try
        {
            await Eventually.TrueAsync(() => load.All.All(t => t.Tally.Acknowledged.Count >= Before), "the load runs");
        }
        catch (TimeoutException)
        {
            Assert.Fail($"There is no load: {load}");
        }
        await begin();
        TimeSpan recovery;
        try
        {
            await Task.Delay(during ?? During);
        }
        finally
        {
            await end();
        }
        recovery = await load.RecoveredAsync();
        await load.StopAsync();
        await load.RepeatOpenAsync();

        var books = new Books(load, from);
        var found = new Dictionary<string, Found> { ["chats"] = await books.ChatsAsync(), ["runs"] = await books.RunsAsync(), ["journeys"] = await books.JourneysAsync() };
        Table.Add(fault, load, found, recovery);

        foreach ((string kind, Tally tally) in load.All)
        {
            Assert.True(found[kind].Lost.Count == 0, $"Lost of {kind}: {string.Join("; ", found[kind].Lost.Take(5))} ({found[kind].Lost.Count})");
            Assert.True(found[kind].Twice == 0, $"{found[kind].Twice} of {kind} are there twice.");
            int[] allowed = brokenConnections ? [0, 429, 502, 503, 504] : [429, 502, 503, 504];
            Assert.True(tally.Errors.Keys.All(allowed.Contains), $"Errors of {kind}: {string.Join(", ", tally.Errors)} {string.Join("\n", tally.Nonsense.Take(3))}");
            Assert.Empty(tally.Nonsense);
        }
        (long summed, int listed) = await books.UsageAsync();
        Assert.Equal(listed, summed);
        Assert.True(recovery < Recovery, $"Served again only after {recovery.TotalSeconds:0.0} s.");
    }

    // Once for all faults; the others find it there.
    private static async Task AgentAsync(HttpClient client)
    {
        using HttpResponseMessage there = await client.GetAsync("/api/v1/agents/helper");
        if (!there.IsSuccessStatusCode) await client.AddLocalAgentAsync();
    }
}
