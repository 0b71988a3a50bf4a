using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Tenants.Callers;

namespace MultiAgent.Tenants.ApiKeys;

internal static class ApiKeyEndpoints
{
    public static void MapApiKeys(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/keys").RequireScope(Scopes.KeysManage).NeverCached().WithTags("API keys");
        group.MapPost("", CreateAsync).Idempotent().WithSummary("Create an API key; its secret is shown once");
        group.MapGet("", ListAsync).WithSummary("List API keys, newest first");
        group.MapGet("/{id}", GetAsync).WithSummary("Get an API key");
        group.MapDelete("/{id}", RevokeAsync).WithSummary("Revoke an API key at once");
        group.MapPost("/{id}/rotate", RotateAsync).Idempotent().WithSummary("Replace an API key; the old one goes on for an overlap");
    }

    private static async Task<Results<Created<NewApiKeyView>, ProblemHttpResult>> CreateAsync(
        CreateApiKeyRequest request, HttpContext http, ServiceDb<TenantDb> db, TimeProvider time, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        DateTimeOffset now = time.GetUtcNow();
        if (ApiKeyRules.Check(request, now, out Scopes scopes) is { Count: > 0 } errors) return Problems.Invalid(errors);
        if (request.Scopes is null) scopes = ApiKeyRules.DefaultScopes & caller.Scopes;
        if (Escalation(caller, scopes) is { } refused) return refused;

        string secret = ApiKeySecret.Generate();
        ApiKey key = ApiKey.Create(request.Name!.Trim(), scopes, secret, caller.UserId, now);
        key.RequestsPerMinute = request.RequestsPerMinute;
        key.Burst = request.Burst;
        key.ExpiresAt = request.ExpiresInDays is { } days ? now.AddDays(days) : request.ExpiresAt?.ToUniversalTime();
        await using TenantDb context = db.Open(caller.TenantId);
        if (await TooManyAsync(context, now, cancellationToken) is { } full) return full;
        context.ApiKeys.Add(key);
        await context.SaveChangesAsync(cancellationToken);
        return TypedResults.Created($"/api/v1/keys/{key.Id}", new NewApiKeyView(key, secret, now));
    }

    private static async Task<Ok<Page<ApiKeyView>>> ListAsync(
        int? limit, string? cursor, HttpContext http, ServiceDb<TenantDb> db, TimeProvider time, CancellationToken cancellationToken)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        DateTimeOffset now = time.GetUtcNow();
        await using TenantDb context = db.Open(http.GetCaller().TenantId);
        List<ApiKey> keys = await context.ApiKeys.AsNoTracking()
            .Where(k => page.After == null || string.Compare(k.Id, page.After) < 0)
            .OrderByDescending(k => k.Id).Take(page.Limit + 1).ToListAsync(cancellationToken);
        return TypedResults.Ok(Page<ApiKeyView>.From([.. keys.Select(k => ApiKeyView.Of(k, now))], page.Limit, k => k.Id));
    }

    private static async Task<Results<Ok<ApiKeyView>, ProblemHttpResult>> GetAsync(
        string id, HttpContext http, ServiceDb<TenantDb> db, TimeProvider time, CancellationToken cancellationToken)
    {
        await using TenantDb context = db.Open(http.GetCaller().TenantId);
        ApiKey? key = Ids.IsValid(id, "key") ? await context.ApiKeys.AsNoTracking().FirstOrDefaultAsync(k => k.Id == id, cancellationToken) : null;
        return key is null ? Problems.NotFound("The API key") : TypedResults.Ok(ApiKeyView.Of(key, time.GetUtcNow()));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RevokeAsync(
        string id, HttpContext http, ServiceDb<TenantDb> db, CallerChanges changes, TimeProvider time, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        await using TenantDb context = db.Open(caller.TenantId);
        if (!Ids.IsValid(id, "key") || await context.ApiKeys.FirstOrDefaultAsync(k => k.Id == id, cancellationToken) is not { } key) return Problems.NotFound("The API key");
        if (key.RevokedAt is not null) return TypedResults.NoContent();
        key.RevokedAt = time.GetUtcNow();
        await changes.SaveAsync(context, new CallerChanged(caller.TenantId, key.Id, null), cancellationToken);
        return TypedResults.NoContent();
    }

    private static async Task<Results<Created<NewApiKeyView>, ProblemHttpResult>> RotateAsync(
        string id, RotateApiKeyRequest? request, HttpContext http, ServiceDb<TenantDb> db, CallerChanges changes, TimeProvider time, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        int overlap = request?.OverlapSeconds ?? ApiKeyRules.DefaultOverlapSeconds;
        if (overlap is < 0 or > ApiKeyRules.MaxOverlapSeconds) return Problems.Invalid("overlapSeconds", $"must be between 0 and {ApiKeyRules.MaxOverlapSeconds}");
        DateTimeOffset now = time.GetUtcNow();
        await using TenantDb context = db.Open(caller.TenantId);
        // Two rotations of one key at the same moment: the second waits, and finds the key ending.
        await using var transaction = await context.BeginAloneAsync("api keys", cancellationToken);
        if (!Ids.IsValid(id, "key") || await context.ApiKeys.FirstOrDefaultAsync(k => k.Id == id, cancellationToken) is not { } old) return Problems.NotFound("The API key");
        if (old.RevokedAt is not null || old.ExpiresAt <= now) return Problems.Conflict("The API key has ended. Create a new one.");
        // The new secret has the old key's scopes: who may not give them may not take them this way either.
        if (Escalation(caller, old.ScopeSet()) is { } refused) return refused;
        if (await TooManyAsync(context, now, cancellationToken) is { } full) return full;

        string secret = ApiKeySecret.Generate();
        ApiKey key = ApiKey.Create(old.Name, old.ScopeSet(), secret, caller.UserId ?? old.CreatedBy, now);
        key.RequestsPerMinute = old.RequestsPerMinute;
        key.Burst = old.Burst;
        // A key that was to live for 90 days is followed by one that lives for 90 days.
        key.ExpiresAt = old.ExpiresAt is { } end ? now + (end - old.CreatedAt) : null;
        context.ApiKeys.Add(key);
        DateTimeOffset overlapEnd = now.AddSeconds(overlap);
        if (old.ExpiresAt is null || old.ExpiresAt > overlapEnd) old.ExpiresAt = overlapEnd;
        await changes.SaveAsync(context, new CallerChanged(caller.TenantId, old.Id, null), cancellationToken);
        return TypedResults.Created($"/api/v1/keys/{key.Id}", new NewApiKeyView(key, secret, now));
    }

    private static ProblemHttpResult? Escalation(Caller caller, Scopes wanted) => caller.Has(wanted)
        ? null
        : Problems.Of(403, ErrorCodes.MissingScope, $"A key cannot have more than its maker: you lack {string.Join(", ", ScopeNames.ToNames(wanted & ~caller.Scopes))}.");

    private static async Task<ProblemHttpResult?> TooManyAsync(TenantDb context, DateTimeOffset now, CancellationToken cancellationToken) =>
        await context.ApiKeys.CountAsync(k => k.RevokedAt == null && (k.ExpiresAt == null || k.ExpiresAt > now), cancellationToken) >= ApiKeyRules.MaxActive
            ? Problems.Conflict($"The tenant has {ApiKeyRules.MaxActive} active API keys already. Revoke some first.")
            : null;
}
