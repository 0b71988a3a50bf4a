using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>/api/v1/webhook-endpoints.</summary>
internal static class WebhookEndpoints
{
    public static void MapWebhooks(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/webhook-endpoints").WithTags("Webhooks").RequireScope(Scopes.AgentsRead);
        group.MapGet("", ListAsync).WithSummary("List the addresses that hear of runs");
        group.MapPost("", CreateAsync).RequireScope(Scopes.AgentsWrite).Idempotent().WithSummary("Register an address; its secret is shown once");
        group.MapGet("/{id}", GetAsync).WithSummary("Get an endpoint");
        group.MapPut("/{id}", UpdateAsync).RequireScope(Scopes.AgentsWrite).WithSummary("Change an endpoint, disable it, or enable it again");
        group.MapDelete("/{id}", DeleteAsync).RequireScope(Scopes.AgentsWrite).WithSummary("Delete an endpoint and its deliveries");
        group.MapPost("/{id}/rotate", RotateAsync).RequireScope(Scopes.AgentsWrite).Idempotent().WithSummary("Make a new secret, shown once; those before are signed with too for the overlap");
        group.MapPost("/{id}/test", TestAsync).RequireScope(Scopes.AgentsWrite).Idempotent().WithSummary("Send a test event");
        group.MapGet("/{id}/deliveries", DeliveriesAsync).RequireScope(Scopes.RunsRead).WithSummary("List deliveries, newest first; filter by status");
        group.MapPost("/{id}/deliveries/{delivery}/redeliver", RedeliverAsync).RequireScope(Scopes.AgentsWrite).WithSummary("Send a delivery again that was delivered or given up");
    }

    private static async Task<Ok<Page<WebhookEndpointView>>> ListAsync(HttpContext http, IWebhookStore store, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        IReadOnlyList<WebhookEndpoint> endpoints = await store.ListEndpointsAsync(http.GetCaller().TenantId, page.After, page.Limit + 1);
        return TypedResults.Ok(Page<WebhookEndpointView>.From([.. endpoints.Select(e => WebhookEndpointView.Of(e))], page.Limit, e => e.Id));
    }

    private static async Task<Results<Created<WebhookEndpointView>, ProblemHttpResult>> CreateAsync(HttpContext http, WebhookEndpointRequest body, IWebhookStore store, WebhookChecks checks, WebhookSecrets secrets, TimeProvider time)
    {
        if (checks.Check(body.Url, body.Description, body.Events, body.Secret) is { Count: > 0 } errors) return Problems.Invalid(errors);
        DateTimeOffset now = time.GetUtcNow();
        string secret = body.Secret ?? WebhookSecrets.New();
        var endpoint = new WebhookEndpoint
        {
            Id = http.NewId("whe", now), TenantId = http.GetCaller().TenantId, Url = body.Url!, Description = body.Description, Events = Distinct(body.Events), Secrets = secrets.Protect([new WebhookSecret(secret, null)]),
            CreatedAt = now, UpdatedAt = now,
        };
        await store.AddEndpointAsync(endpoint);
        // A repetition after a crash finds the endpoint of the first attempt, with that one's secret.
        WebhookEndpoint kept = await store.FindEndpointAsync(endpoint.TenantId, endpoint.Id) ?? endpoint;
        return TypedResults.Created($"/api/v1/webhook-endpoints/{kept.Id}", WebhookEndpointView.Of(kept, secrets.Read(kept, now)[0].Value));
    }

    private static async Task<Results<Ok<WebhookEndpointView>, ProblemHttpResult>> GetAsync(HttpContext http, string id, IWebhookStore store) =>
        await FindAsync(http, store, id) is { } endpoint ? TypedResults.Ok(WebhookEndpointView.Of(endpoint)) : Missing();

    private static async Task<Results<Ok<WebhookEndpointView>, ProblemHttpResult>> UpdateAsync(HttpContext http, string id, WebhookEndpointRequest body, IWebhookStore store, WebhookChecks checks, TimeProvider time)
    {
        if (await FindAsync(http, store, id) is not { } endpoint) return Missing();
        Dictionary<string, string[]> errors = checks.Check(body.Url, body.Description, body.Events, null);
        if (body.Secret is not null) errors["secret"] = ["is changed with /rotate."];
        if (errors.Count > 0) return Problems.Invalid(errors);
        WebhookEndpoint changed = endpoint with
        {
            Url = body.Url!, Description = body.Description, Events = Distinct(body.Events), UpdatedAt = time.GetUtcNow(),
            Disabled = body.Enabled switch { true => null, false => endpoint.Disabled ?? WebhookEndpoint.ByUser, null => endpoint.Disabled },
        };
        return await store.UpdateEndpointAsync(changed) ? TypedResults.Ok(WebhookEndpointView.Of(changed)) : Missing();
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(HttpContext http, string id, IWebhookStore store) =>
        await FindAsync(http, store, id) is { } endpoint && await store.DeleteEndpointAsync(endpoint.TenantId, id) ? TypedResults.NoContent() : Missing();

    private static async Task<Results<Ok<WebhookEndpointView>, ProblemHttpResult>> RotateAsync(HttpContext http, string id, RotateWebhookRequest body, IWebhookStore store, WebhookSecrets secrets, TimeProvider time)
    {
        if (body.OverlapHours is not (null or (>= 0 and <= 168))) return Problems.Invalid("overlapHours", "must be between 0 and 168.");
        if (body.Secret is not null && !WebhookSecrets.IsValid(body.Secret)) return Problems.Invalid("secret", "must be 'whsec_' and the base64 of 24 to 64 bytes.");
        if (await FindAsync(http, store, id) is not { } endpoint) return Missing();
        DateTimeOffset now = time.GetUtcNow(), until = now.AddHours(body.OverlapHours ?? 24);
        string secret = body.Secret ?? WebhookSecrets.New();
        // Four at a time: a header has its bounds.
        WebhookSecret[] before = [.. secrets.Read(endpoint, now).Take(3).Select(s => s with { Until = s.Until < until ? s.Until : until })];
        WebhookEndpoint changed = endpoint with { Secrets = secrets.Protect([new WebhookSecret(secret, null), .. before]), UpdatedAt = now };
        return await store.UpdateEndpointAsync(changed) ? TypedResults.Ok(WebhookEndpointView.Of(changed, secret)) : Missing();
    }

    private static async Task<Results<Accepted<WebhookDeliveryView>, ProblemHttpResult>> TestAsync(HttpContext http, string id, IWebhookStore store, WebhookBell bell, TimeProvider time)
    {
        if (await FindAsync(http, store, id) is not { } endpoint) return Missing();
        if (endpoint.Disabled is not null) return Problems.Conflict("The endpoint is disabled.");
        DateTimeOffset now = time.GetUtcNow();
        var delivery = new WebhookDelivery { Id = http.NewId("whd", now), TenantId = endpoint.TenantId, EndpointId = id, Type = WebhookEvents.Test, Payload = WebhookPayload.Test(now), NextAt = now, CreatedAt = now };
        await store.AddDeliveriesAsync(endpoint.TenantId, [delivery]);
        bell.Ring();
        return TypedResults.Accepted($"/api/v1/webhook-endpoints/{id}/deliveries", WebhookDeliveryView.Of(delivery));
    }

    private static async Task<Results<Ok<Page<WebhookDeliveryView>>, ProblemHttpResult>> DeliveriesAsync(HttpContext http, string id, IWebhookStore store, string? status, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        DeliveryState? wanted = null;
        if (status is not null)
        {
            if (!DeliveryStates.TryParse(status, out DeliveryState parsed)) return Problems.Invalid("status", "must be pending, delivered or failed.");
            wanted = parsed;
        }
        if (await FindAsync(http, store, id) is not { } endpoint) return Missing();
        IReadOnlyList<WebhookDelivery> deliveries = await store.ListDeliveriesAsync(endpoint.TenantId, id, wanted, page.After, page.Limit + 1);
        return TypedResults.Ok(Page<WebhookDeliveryView>.From([.. deliveries.Select(WebhookDeliveryView.Of)], page.Limit, d => d.Id));
    }

    private static async Task<Results<Accepted<WebhookDeliveryView>, ProblemHttpResult>> RedeliverAsync(HttpContext http, string id, string delivery, IWebhookStore store, WebhookBell bell, TimeProvider time)
    {
        if (await FindAsync(http, store, id) is not { } endpoint) return Missing();
        if (!Ids.IsValid(delivery, "whd") || await store.FindDeliveryAsync(endpoint.TenantId, delivery) is not { } found || found.EndpointId != id) return Problems.NotFound("The delivery");
        if (endpoint.Disabled is not null) return Problems.Conflict("The endpoint is disabled.");
        if (!await store.RedeliverAsync(endpoint.TenantId, delivery, time.GetUtcNow())) return Problems.Conflict("The delivery is on its way.");
        bell.Ring();
        return TypedResults.Accepted($"/api/v1/webhook-endpoints/{id}/deliveries", WebhookDeliveryView.Of((await store.FindDeliveryAsync(endpoint.TenantId, delivery))!));
    }

    /// <summary>One of the tenant's own; those of single runs are not reached.</summary>
    private static async ValueTask<WebhookEndpoint?> FindAsync(HttpContext http, IWebhookStore store, string id) =>
        Ids.IsValid(id, "whe") && await store.FindEndpointAsync(http.GetCaller().TenantId, id) is { RunId: null } endpoint ? endpoint : null;

    private static IReadOnlyList<string> Distinct(IReadOnlyList<string>? events) => [.. (events ?? []).Distinct()];

    private static ProblemHttpResult Missing() => Problems.NotFound("The webhook endpoint");
}
