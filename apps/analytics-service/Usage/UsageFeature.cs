using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Analytics.Records;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Identity;
using MultiAgent.Messaging;

namespace MultiAgent.Analytics.Usage;

/// <summary><c>/api/v1/usage</c>: tokens, cost and latency by group and time, and the single records.</summary>
internal static class UsageFeature
{
    public static void AddUsage(this IServiceCollection services)
    {
        services.AddStore<IUsageStore, SqliteUsageStore, PostgresUsageStore>();
        services.AddEventConsumer<UsageConsumer>();
    }

    public static void MapUsage(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/usage").WithTags("Usage").RequireScope(Scopes.AnalyticsRead);
        group.MapGet("", SummarizeAsync).WithSummary("Usage and cost in a time range, grouped")
            .WithDescription("groupBy takes one or more of model, provider, agent, apiKey, user, operation, status, day, hour, separated by commas. Days and hours are UTC.");
        group.MapGet("/records", ListAsync).WithSummary("Single usage records, newest first");
    }

    private static async Task<Ok<UsageSummary>> SummarizeAsync(HttpContext context, IUsageStore store, TimeProvider time,
        DateTimeOffset? from, DateTimeOffset? to, string? groupBy, string? model, string? agent, string? apiKey)
    {
        TimeRange range = TimeRange.Of(from, to, time);
        var filter = new UsageFilter(context.GetCaller().TenantId, range, model, agent, apiKey);
        IReadOnlyList<RecordGrouping> groups = RecordGrouping.Parse(groupBy, UsageSchema.Groupings);
        return TypedResults.Ok(new UsageSummary(range.From, range.To, [.. groups.Select(g => g.Name)], await store.SummarizeAsync(filter, groups), (await store.SummarizeAsync(filter, []))[0]));
    }

    private static async Task<Ok<Page<UsageItem>>> ListAsync(HttpContext context, IUsageStore store, TimeProvider time,
        DateTimeOffset? from, DateTimeOffset? to, string? model, string? agent, string? apiKey, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        var filter = new UsageFilter(context.GetCaller().TenantId, TimeRange.Of(from, to, time), model, agent, apiKey);
        return TypedResults.Ok(Page<UsageItem>.From(await store.ListAsync(filter, RecordPosition.Parse(page.After), page.Limit + 1), page.Limit, u => RecordPosition.Of(u.At, u.Id).ToString()));
    }
}

/// <summary>Usage in a range; <see cref="Total"/> is over all groups.</summary>
internal sealed record UsageSummary(DateTimeOffset From, DateTimeOffset To, IReadOnlyList<string> GroupBy, IReadOnlyList<UsageGroup> Data, UsageGroup Total);

/// <summary>Sums of one group.</summary>
internal sealed record UsageGroup
{
    /// <summary>The group's values by the names in <c>groupBy</c>; absent without grouping.</summary>
    public IReadOnlyDictionary<string, string?>? Group { get; init; }
    public required long Requests { get; init; }
    public required long Errors { get; init; }
    public required long InputTokens { get; init; }
    public required long CachedInputTokens { get; init; }
    public required long OutputTokens { get; init; }
    public required long ReasoningTokens { get; init; }
    /// <summary>US dollars of the requests whose price is known.</summary>
    public required decimal CostUsd { get; init; }
    /// <summary>Requests whose price is unknown and which are therefore not in the cost.</summary>
    public required long RequestsOfUnknownCost { get; init; }
    /// <summary>Requests whose tokens were counted here since the provider reported none.</summary>
    public required long EstimatedRequests { get; init; }
    public double? AverageLatencyMs { get; init; }
    public double? AverageFirstTokenMs { get; init; }
}

/// <summary>One call of a model.</summary>
internal sealed record UsageItem(
    string Id, DateTimeOffset At, string? ApiKeyId, string? UserId, string RequestId, string? RunId, string? Agent, string Operation, string RequestedModel, string Model,
    long InputTokens, long CachedInputTokens, long OutputTokens, long ReasoningTokens, bool Estimated, decimal? CostUsd, string Status, string? ErrorCode, bool Stream, int Attempt,
    double LatencyMs, double? FirstTokenMs);
