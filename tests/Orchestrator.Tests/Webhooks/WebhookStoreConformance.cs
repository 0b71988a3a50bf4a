using System.Text;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Webhooks;

namespace MultiAgent.Orchestrator.Tests.Webhooks;

/// <summary>What every store of webhooks does.</summary>
public abstract class WebhookStoreConformance : StoreTests
{
    private static readonly DateTimeOffset At = RunSamples.At;
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(1);

    private IWebhookStore Store => Stores.Webhooks;

    [Fact]
    public async Task Endpoints_AreKeptChangedAndDeletedForTheirTenantAlone()
    {
        WebhookEndpoint one = await EndpointAsync("ten_a"), other = await EndpointAsync("ten_b");
        await Store.AddEndpointAsync(one with { Url = "https://again.example" });

        Assert.Equivalent(one, await Store.FindEndpointAsync("ten_a", one.Id), strict: true);
        Assert.Null(await Store.FindEndpointAsync("ten_b", one.Id));
        Assert.Equal([one.Id], (await Store.ListEndpointsAsync("ten_a", null, 10)).Select(e => e.Id));
        Assert.False(await Store.UpdateEndpointAsync(one with { TenantId = "ten_b", Url = "https://x.example" }));
        Assert.True(await Store.UpdateEndpointAsync(one with { Url = "https://y.example", Events = [WebhookEvents.Failed], Disabled = "disabled" }));
        WebhookEndpoint changed = (await Store.FindEndpointAsync("ten_a", one.Id))!;
        Assert.Equal(("https://y.example", "disabled", WebhookEvents.Failed), (changed.Url, changed.Disabled, Assert.Single(changed.Events)));
        Assert.False(await Store.DeleteEndpointAsync("ten_b", one.Id));
        Assert.True(await Store.DeleteEndpointAsync("ten_a", one.Id));
        Assert.NotNull(await Store.FindEndpointAsync("ten_b", other.Id));
    }

    [Fact]
    public async Task EndpointsOf_Runs_AreTheTenantsAndThoseOfTheRun()
    {
        WebhookEndpoint all = await EndpointAsync("ten_a"), mine = await EndpointAsync("ten_a", "run_1"), others = await EndpointAsync("ten_a", "run_2");
        await EndpointAsync("ten_b");

        Assert.Equal(new[] { all.Id, mine.Id }.Order(), (await Store.EndpointsOfAsync("ten_a", ["run_1"])).Select(e => e.Id));
        Assert.Equal(new[] { all.Id, mine.Id, others.Id }.Order(), (await Store.EndpointsOfAsync("ten_a", ["run_2", "run_1"])).Select(e => e.Id));
        Assert.Equal([all.Id], (await Store.ListEndpointsAsync("ten_a", null, 10)).Select(e => e.Id));
    }

    [Fact]
    public async Task Claim_OfManyOwners_GivesEachDeliveryOnceAndOfARunOnlyTheOldest()
    {
        WebhookEndpoint endpoint = await EndpointAsync("ten_a");
        WebhookDelivery first = Delivery(endpoint, "run_1"), second = Delivery(endpoint, "run_1"), third = Delivery(endpoint, "run_2"), later = Delivery(endpoint, "run_3") with { NextAt = At.AddHours(1) };
        await Store.AddDeliveriesAsync("ten_a", [first, second, third, later]);
        await Store.AddDeliveriesAsync("ten_a", [first]);

        IReadOnlyList<WebhookDelivery>[] claims = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => Store.ClaimAsync($"p{i}", At, Lease, [], 10, 10)));

        Assert.Equal(new[] { first.Id, third.Id }.Order(), claims.SelectMany(c => c).Select(d => d.Id).Order());
        string owner = $"p{Array.FindIndex(claims, c => c.Any(d => d.Id == first.Id))}";
        Assert.False(await Store.CompleteAsync(first, "somebody", new DeliveryResult(DeliveryState.Delivered, 200, null, At, At)));
        Assert.True(await Store.CompleteAsync(first, owner, new DeliveryResult(DeliveryState.Delivered, 200, null, At, At)));
        Assert.Equal([second.Id], (await Store.ClaimAsync("p9", At, Lease, [], 10, 10)).Select(d => d.Id));
        // What a dead process held is free when its lease is over.
        Assert.Equal(new[] { second.Id, third.Id }.Order(), (await Store.ClaimAsync("p9", At + Lease, Lease, [], 10, 10)).Select(d => d.Id).Order());
    }

    [Fact]
    public async Task Claim_IsBoundedByEndpointAndLeavesOutTheBusyAndTheDisabled()
    {
        WebhookEndpoint slow = await EndpointAsync("ten_a"), quick = await EndpointAsync("ten_b"), off = await EndpointAsync("ten_b");
        await Store.AddDeliveriesAsync("ten_a", [.. Enumerable.Range(0, 5).Select(i => Delivery(slow, $"run_{i}"))]);
        await Store.AddDeliveriesAsync("ten_b", [Delivery(quick, "run_1"), Delivery(off, "run_1")]);
        await Store.UpdateEndpointAsync(off with { Disabled = "disabled" });

        IReadOnlyList<WebhookDelivery> two = await Store.ClaimAsync("p", At, Lease, [], 2, 10);
        IReadOnlyList<WebhookDelivery> none = await Store.ClaimAsync("p", At, Lease, [slow.Id], 2, 10);

        Assert.Equal((2, 1), (two.Count(d => d.EndpointId == slow.Id), two.Count(d => d.EndpointId == quick.Id)));
        Assert.Equal(3, two.Count);
        Assert.Empty(none);
    }

    [Fact]
    public async Task Result_IsKeptAndAnEndedDeliveryCanBeSentAgain()
    {
        WebhookEndpoint endpoint = await EndpointAsync("ten_a");
        WebhookDelivery delivery = Delivery(endpoint, "run_1");
        await Store.AddDeliveriesAsync("ten_a", [delivery]);
        await Store.ClaimAsync("p", At, Lease, [], 10, 10);

        Assert.True(await Store.CompleteAsync(delivery, "p", new DeliveryResult(DeliveryState.Pending, 503, "refused", At.AddMinutes(5), At)));
        WebhookDelivery pending = (await Store.FindDeliveryAsync("ten_a", delivery.Id))!;
        Assert.Equal((1, 503, "refused", At.AddMinutes(5), DeliveryState.Pending), (pending.Attempts, pending.LastStatus, pending.LastError, pending.NextAt, pending.State));
        Assert.False(await Store.RedeliverAsync("ten_a", delivery.Id, At));
        await Store.DisableAsync("ten_a", endpoint.Id, WebhookEndpoint.Gone, At);
        Assert.Equal(("failed", "gone"), (DeliveryStates.Of((await Store.FindDeliveryAsync("ten_a", delivery.Id))!.State), (await Store.FindEndpointAsync("ten_a", endpoint.Id))!.Disabled));
        Assert.Equal([delivery.Id], (await Store.ListDeliveriesAsync("ten_a", endpoint.Id, DeliveryState.Failed, null, 10)).Select(d => d.Id));
        Assert.Empty(await Store.ListDeliveriesAsync("ten_a", endpoint.Id, DeliveryState.Delivered, null, 10));
        Assert.Empty(await Store.ListDeliveriesAsync("ten_b", endpoint.Id, null, null, 10));
        Assert.False(await Store.RedeliverAsync("ten_b", delivery.Id, At));
        Assert.True(await Store.RedeliverAsync("ten_a", delivery.Id, At));
        Assert.Equal(0, (await Store.FindDeliveryAsync("ten_a", delivery.Id))!.Attempts);
        Assert.Null(await Store.FindDeliveryAsync("ten_b", delivery.Id));
    }

    [Fact]
    public async Task Prune_DeletesWhatEndedLongAgo()
    {
        WebhookEndpoint tenants = await EndpointAsync("ten_a"), ofRun = await EndpointAsync("ten_a", "run_1");
        WebhookDelivery ended = Delivery(ofRun, "run_1"), pending = Delivery(tenants, "run_2");
        await Store.AddDeliveriesAsync("ten_a", [ended, pending]);
        await Store.ClaimAsync("p", At, Lease, [], 10, 10);
        await Store.CompleteAsync(ended, "p", new DeliveryResult(DeliveryState.Delivered, 204, null, At, At));

        Assert.Equal(0, await Store.PruneAsync(At, 10));
        Assert.Equal(2, await Store.PruneAsync(At.AddDays(1), 10));
        Assert.Null(await Store.FindDeliveryAsync("ten_a", ended.Id));
        Assert.Null(await Store.FindEndpointAsync("ten_a", ofRun.Id));
        Assert.NotNull(await Store.FindDeliveryAsync("ten_a", pending.Id));
        Assert.NotNull(await Store.FindEndpointAsync("ten_a", tenants.Id));
    }

    private async Task<WebhookEndpoint> EndpointAsync(string tenant, string? runId = null)
    {
        var endpoint = new WebhookEndpoint { Id = Ids.New("whe", At), TenantId = tenant, RunId = runId, Url = "https://hooks.example/a", Description = "d", Events = [], Secrets = [1, 2, 3], CreatedAt = At, UpdatedAt = At };
        await Store.AddEndpointAsync(endpoint);
        return endpoint;
    }

    private static WebhookDelivery Delivery(WebhookEndpoint endpoint, string runId) => new()
    {
        Id = Ids.New("whd", At), TenantId = endpoint.TenantId, EndpointId = endpoint.Id, RunId = runId, Type = WebhookEvents.Completed, Payload = Encoding.UTF8.GetBytes("{}"), NextAt = At, CreatedAt = At,
    };
}

[Trait("Database", "once")]
public sealed class SqliteWebhookStoreTests : WebhookStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}

[Trait("Database", "once")]
public sealed class PostgresWebhookStoreTests : WebhookStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
