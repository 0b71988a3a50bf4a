using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Analytics.Records;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Identity;
using MultiAgent.Messaging;

namespace MultiAgent.Analytics.Requests;

/// <summary><c>/api/v1/requests</c>: what was asked of the platform with a tenant's credentials, and how it was answered.</summary>
internal static class RequestFeature
{
    public static void AddRequestLog(this IServiceCollection services)
    {
        services.AddStore<IRequestStore, SqliteRequestStore, PostgresRequestStore>();
        services.AddEventConsumer<RequestConsumer>();
    }

    public static void MapRequestLog(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/requests").WithTags("Requests").RequireScope(Scopes.AnalyticsRead);
        group.MapGet("", ListAsync).WithSummary("The log of requests, newest first")
            .WithDescription("Filters: method, route (the endpoint's pattern), status (404, or 4xx for a class), errorCode, apiKey, userId, requestId, runId, model, minDurationMs; from and to, of which the last 24 hours are the default unless a request is named.");
        group.MapGet("/summary", SummarizeAsync).WithSummary("Requests, errors and times, grouped")
            .WithDescription("groupBy takes one to three of method, route, status, errorCode, apiKey, user, model, day, hour, separated by commas. Days and hours are UTC. The filters are those of the list.");
        group.MapGet("/{id}", GetAsync).WithSummary("One record of the log");
    }

    private static async Task<Ok<Page<RequestItem>>> ListAsync(HttpContext context, [AsParameters] RequestQuery query, IRequestStore store, TimeProvider time, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        return TypedResults.Ok(Page<RequestItem>.From(await store.ListAsync(query.Filter(context, time), RecordPosition.Parse(page.After), page.Limit + 1), page.Limit, r => RecordPosition.Of(r.At, r.Id).ToString()));
    }

    private static async Task<Ok<RequestSummary>> SummarizeAsync(HttpContext context, [AsParameters] RequestQuery query, IRequestStore store, TimeProvider time, string? groupBy)
    {
        RequestFilter filter = query.Filter(context, time);
        IReadOnlyList<RecordGrouping> groups = RecordGrouping.Parse(groupBy, RequestSchema.Groupings);
        RequestGroup total = (await store.SummarizeAsync(filter, []))[0];
        return TypedResults.Ok(new RequestSummary(filter.Range.From, filter.Range.To, [.. groups.Select(g => g.Name)], groups.Count == 0 ? [total] : await store.SummarizeAsync(filter, groups), total));
    }

    private static async Task<Results<Ok<RequestItem>, ProblemHttpResult>> GetAsync(HttpContext context, string id, IRequestStore store) =>
        Ids.IsValid(id, RequestIds.RecordPrefix) && await store.FindAsync(context.GetCaller().TenantId, id) is { } item ? TypedResults.Ok(item) : Problems.NotFound("The record of the request");
}

/// <summary>What narrows the log.</summary>
internal sealed record RequestQuery(
    DateTimeOffset? From, DateTimeOffset? To, string? Method, string? Route, string? Status, string? ErrorCode, string? ApiKey, string? UserId, string? RequestId, string? RunId, string? Model, double? MinDurationMs)
{
    private static readonly TimeSpan Default = TimeSpan.FromHours(24);

    /// <exception cref="ApiException">400: a parameter is malformed.</exception>
    public RequestFilter Filter(HttpContext context, TimeProvider time)
    {
        DateTimeOffset? from = From ?? (RequestId is null && RunId is null ? (To ?? time.GetUtcNow().AddSeconds(1)) - Default : null);
        return new RequestFilter(context.GetCaller().TenantId, RequestIds.Narrow(TimeRange.Of(from, To, time), RequestId))
        {
            Method = Method?.ToUpperInvariant(),
            Route = Route,
            Status = StatusRange(Status),
            ErrorCode = ErrorCode,
            ApiKey = ApiKey,
            UserId = UserId,
            RequestId = RequestId,
            RunId = RunId,
            Model = Model,
            MinDurationMs = MinDurationMs is not (double.NaN or < 0) ? MinDurationMs ?? 0 : throw new ApiException(400, ErrorCodes.ValidationFailed, "'minDurationMs' must be 0 or more.", "minDurationMs"),
        };
    }

    private static (int First, int Last) StatusRange(string? status)
    {
        if (status is null) return (0, 999);
        if (status.Length == 3 && status[0] is >= '1' and <= '5' && status[1..] is "xx" or "XX") return ((status[0] - '0') * 100, (status[0] - '0') * 100 + 99);
        return int.TryParse(status, NumberStyles.None, CultureInfo.InvariantCulture, out int one) && one is >= 100 and <= 599
            ? (one, one)
            : throw new ApiException(400, ErrorCodes.ValidationFailed, "'status' is a status such as 404 or a class such as 4xx.", "status");
    }
}

/// <summary>Requests in a range; <see cref="Total"/> is over all groups.</summary>
internal sealed record RequestSummary(DateTimeOffset From, DateTimeOffset To, IReadOnlyList<string> GroupBy, IReadOnlyList<RequestGroup> Data, RequestGroup Total);
