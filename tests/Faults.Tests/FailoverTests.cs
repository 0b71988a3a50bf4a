namespace MultiAgent.Faults.Tests;

/// <summary>The primary is lost for good, and the services find its replica under the same address: on a stack of its own, which is not the same afterwards.</summary>
public sealed class FailoverTests(Stack stack) : IClassFixture<Stack>
{
    [Fact]
    public async Task Postgres_PrimaryKilled_GoesOnWithItsReplica()
    {
        Assert.SkipWhen(Stack.Missing is not null, Stack.Missing ?? "");
        await using var standby = new PostgresStandby(stack.Folder, stack.PostgresPort, stack.SecretOf("admin_password"));
        await standby.StartAsync(synchronous: true);
        await stack.UnderLoadAsync("kill -9 of postgres, its synchronous replica is made primary after 3 s", () => stack.KillAsync("postgres"), async () =>
        {
            await standby.PromoteAsync();
            stack.Postgres.Target = standby.Port;
        }, brokenConnections: true);
    }
}
