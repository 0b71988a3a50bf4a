using System.Text.Json;

namespace MultiAgent.Faults.Tests;

/// <summary>A stack whose NATS is a cluster of three, with each event on all of them.</summary>
public sealed class ClusterStack : Stack
{
    protected override int NatsNodes => 3;

    /// <summary>The node that leads the stream of events: nats, nats-2 or nats-3.</summary>
    public async Task<string> LeaderAsync()
    {
        using var client = new HttpClient { BaseAddress = NatsMonitor };
        string? leader = null;
        await Eventually.TrueAsync(async () => (leader = Leader(await client.GetStringAsync("/jsz?streams=true"))) is not null, "the stream has a leader");
        return leader == "maap-1" ? "nats" : $"nats{leader!["maap".Length..]}";
    }

    private static string? Leader(string jsz)
    {
        using JsonDocument document = JsonDocument.Parse(jsz);
        if (!document.RootElement.TryGetProperty("account_details", out JsonElement accounts)) return null;
        foreach (JsonElement stream in accounts.EnumerateArray().SelectMany(a => a.TryGetProperty("stream_detail", out JsonElement streams) ? streams.EnumerateArray().ToArray() : []))
            if (stream.GetProperty("name").GetString() == "maap-events" && stream.GetProperty("cluster").TryGetProperty("leader", out JsonElement leader)) return leader.GetString();
        return null;
    }
}

/// <summary>One of three servers of NATS is lost, and it is the one that everything goes through.</summary>
public sealed class ClusterTests(ClusterStack stack) : IClassFixture<ClusterStack>
{
    [Fact]
    public async Task Nats_LeaderOfThreeKilled_GoesOnWithTheOthers()
    {
        Assert.SkipWhen(Stack.Missing is not null, Stack.Missing ?? "");
        string leader = await stack.LeaderAsync();
        await stack.UnderLoadAsync("kill -9 of one of three nats, the leader of the stream, started again after 3 s", () => stack.KillAsync(leader), () => stack.StartAsync(leader));
    }
}
