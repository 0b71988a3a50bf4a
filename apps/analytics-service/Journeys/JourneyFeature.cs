using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Messaging;

namespace MultiAgent.Analytics.Journeys;

/// <summary><c>/api/v1/journeys</c>: what users set out to do, the steps they took, and how it ended.</summary>
internal static class JourneyFeature
{
    private const int MaxMetadata = 20;
    private const int MaxText = 200;

    public static void AddJourneys(this IServiceCollection services)
    {
        services.AddOptions<JourneyOptions>().BindConfiguration("Journeys")
            .Validate(o => o.AbandonAfterMinutes >= 1, "Journeys:AbandonAfterMinutes must be 1 or more.")
            .Validate(o => o.SweepSeconds >= 1, "Journeys:SweepSeconds must be 1 or more.").ValidateOnStart();
        services.AddStore<IJourneyStore, SqliteJourneyStore, PostgresJourneyStore>();
        services.AddSingleton<Journeys>();
        services.AddEventConsumer<JourneyConsumer>();
        services.AddEventConsumer<RunEndConsumer>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, JourneySweeper>());
    }

    public static void MapJourneys(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/journeys").WithTags("Journeys");
        group.MapPost("", StartAsync).RequireScope(Scopes.JourneysWrite).Idempotent().WithSummary("Start a journey");
        group.MapPost("/{id}/steps", StepAsync).RequireScope(Scopes.JourneysWrite).Idempotent().WithSummary("Record a step");
        group.MapPost("/{id}/complete", (HttpContext context, string id, EndJourney? body, Journeys journeys) => journeys.EndAsync(context, id, "completed", body))
            .RequireScope(Scopes.JourneysWrite).WithSummary("End a journey that reached its goal");
        group.MapPost("/{id}/abandon", (HttpContext context, string id, EndJourney? body, Journeys journeys) => journeys.EndAsync(context, id, "abandoned", body))
            .RequireScope(Scopes.JourneysWrite).WithSummary("End a journey that was given up");
        group.MapGet("", ListAsync).RequireScope(Scopes.AnalyticsRead).WithSummary("Journeys, newest first");
        group.MapGet("/{id}", GetAsync).RequireScope(Scopes.AnalyticsRead).WithSummary("One journey with its steps");
    }

    private static async Task<Results<Created<JourneyItem>, ProblemHttpResult>> StartAsync(HttpContext context, StartJourney body, Journeys journeys)
    {
        var errors = new Dictionary<string, string[]>();
        if (string.IsNullOrWhiteSpace(body.Type) || body.Type.Length > MaxText) errors["type"] = [$"is required, at most {MaxText} characters"];
        if (body.UserId?.Length > MaxText) errors["userId"] = [$"at most {MaxText} characters"];
        CheckMetadata(body.Metadata, errors);
        if (errors.Count > 0) return Problems.Invalid(errors);
        JourneyItem item = await journeys.StartAsync(context, body);
        return TypedResults.Created($"/api/v1/journeys/{item.Id}", item);
    }

    private static async Task<Results<Ok<JourneyItem>, ProblemHttpResult>> StepAsync(HttpContext context, string id, AddJourneyStep body, Journeys journeys)
    {
        var errors = new Dictionary<string, string[]>();
        if (string.IsNullOrWhiteSpace(body.Name) || body.Name.Length > MaxText) errors["name"] = [$"is required, at most {MaxText} characters"];
        CheckMetadata(body.Metadata, errors);
        return errors.Count > 0 ? Problems.Invalid(errors) : await journeys.ChangeAsync(context, id, "step", body.Name, body.Metadata);
    }

    private static async Task<Ok<Page<JourneyItem>>> ListAsync(HttpContext context, IJourneyStore store, TimeProvider time,
        DateTimeOffset? from, DateTimeOffset? to, string? type, string? status, string? userId, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        if (status is not (null or "active" or "completed" or "abandoned" or "failed"))
            throw new ApiException(400, ErrorCodes.ValidationFailed, "'status' is one of active, completed, abandoned, failed.", "status");
        var filter = new JourneyFilter(context.GetCaller().TenantId, TimeRange.Of(from, to, time), type, status, userId);
        return TypedResults.Ok(Page<JourneyItem>.From(await store.ListAsync(filter, page.After, page.Limit + 1), page.Limit, j => j.Id));
    }

    private static async Task<Results<Ok<JourneyItem>, ProblemHttpResult>> GetAsync(HttpContext context, string id, IJourneyStore store) =>
        Ids.IsValid(id, "jrn") && await store.FindAsync(context.GetCaller().TenantId, id) is { } item ? TypedResults.Ok(item) : Problems.NotFound("The journey");

    private static void CheckMetadata(IReadOnlyDictionary<string, string>? metadata, Dictionary<string, string[]> errors)
    {
        if (metadata is null) return;
        if (metadata.Count > MaxMetadata || metadata.Any(m => m.Key.Length > 64 || m.Value is null || m.Value.Length > MaxText))
            errors["metadata"] = [$"at most {MaxMetadata} texts, keys up to 64 and values up to {MaxText} characters"];
    }

    /// <summary>Changes journeys on behalf of a caller.</summary>
    internal sealed class Journeys(IJourneyStore store, JourneyMetrics metrics, TimeProvider time)
    {
        public async Task<JourneyItem> StartAsync(HttpContext context, StartJourney body)
        {
            Caller caller = context.GetCaller();
            DateTimeOffset now = time.GetUtcNow();
            var change = new JourneyChange
            {
                Id = context.NewId("jch", now),
                JourneyId = context.NewId("jrn", now),
                TenantId = caller.TenantId,
                Kind = "started",
                Type = body.Type!,
                UserId = body.UserId ?? caller.UserId,
                At = now,
                Metadata = body.Metadata,
            };
            await store.ApplyAsync((JourneyChange[])[change]);
            metrics.Count(change);
            return (await store.FindAsync(caller.TenantId, change.JourneyId))!;
        }

        public async Task<Results<Ok<JourneyItem>, ProblemHttpResult>> EndAsync(HttpContext context, string id, string kind, EndJourney? body) =>
            body?.Reason?.Length > MaxText ? Problems.Invalid("reason", $"at most {MaxText} characters") : await ChangeAsync(context, id, kind, body?.Reason, null);

        public async Task<Results<Ok<JourneyItem>, ProblemHttpResult>> ChangeAsync(HttpContext context, string id, string kind, string? text, IReadOnlyDictionary<string, string>? metadata)
        {
            string tenantId = context.GetCaller().TenantId;
            if (!Ids.IsValid(id, "jrn")) return Problems.NotFound("The journey");
            DateTimeOffset now = time.GetUtcNow();
            var change = new JourneyChange { Id = context.NewId("jch", now), JourneyId = id, TenantId = tenantId, Kind = kind, Type = "", At = now, Step = text, Metadata = metadata };
            switch (await store.TryApplyAsync(change))
            {
                case false:
                    return Problems.NotFound("The journey");
                case null:
                    return Problems.Conflict("The journey has ended already.");
            }
            JourneyItem item = (await store.FindAsync(tenantId, id))!;
            if (kind == "step") metrics.Stepped(item.Type);
            else metrics.Ended(item.Type, kind, item.DurationMs);
            return TypedResults.Ok(item);
        }
    }
}
