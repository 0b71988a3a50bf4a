namespace MultiAgent.Faults.Tests;

/// <summary>
/// Faults under a steady mixed load, on real servers and real processes. After each: what was acknowledged is there, once; errors had a status that tells a client
/// what to do; everything is served again soon after the cause is gone, and nobody lent a hand.
/// </summary>
public sealed class FaultTests(Stack stack) : IClassFixture<Stack>
{
    [Theory]
    [InlineData("tenant-service")]
    [InlineData("orchestrator")]
    [InlineData("analytics-service")]
    [InlineData("api-gateway")]
    [InlineData("nats")]
    [InlineData("redis")]
    [InlineData("postgres")]
    public Task Kill(string name) => stack.UnderLoadAsync($"kill -9 of {name}, started again after 3 s", () => stack.KillAsync(name), () => stack.StartAsync(name), brokenConnections: name is "api-gateway" or "postgres");

    [Theory]
    [InlineData("nats")]
    [InlineData("redis")]
    [InlineData("postgres")]
    public Task Partition(string name)
    {
        FaultProxy proxy = ProxyOf(name);
        return stack.UnderLoadAsync($"partition between the services and {name} for 8 s", () => Set(() => proxy.Fault = Fault.Silent), () => Set(() => proxy.Fault = Fault.None), during: TimeSpan.FromSeconds(8));
    }

    [Theory]
    [InlineData("nats")]
    [InlineData("redis")]
    [InlineData("postgres")]
    public Task Slow(string name)
    {
        FaultProxy proxy = ProxyOf(name);
        return stack.UnderLoadAsync($"{name} takes 1 s for each answer", () => Set(() => proxy.Delay = TimeSpan.FromSeconds(1)), () => Set(() => proxy.Delay = TimeSpan.Zero));
    }

    private FaultProxy ProxyOf(string name) => name switch { "nats" => stack.Nats, "redis" => stack.Redis, _ => stack.Postgres };

    private static Task Set(Action change)
    {
        change();
        return Task.CompletedTask;
    }
}
