using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Orchestrator.Schedules;

/// <summary>/api/v1/schedules.</summary>
internal static class ScheduleEndpoints
{
    public static void AddSchedules(this IServiceCollection services)
    {
        services.AddStore<IScheduleStore, SqliteScheduleStore, PostgresScheduleStore>();
        services.TryAddSingleton<ScheduleChecks>();
        services.TryAddSingleton<IFiringStarter, FiringStarter>();
        services.AddHostedService<ScheduleWorker>();
    }

    public static void MapSchedules(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/schedules").WithTags("Schedules").RequireScope(Scopes.RunsRead);
        group.MapGet("", ListAsync).WithSummary("List schedules, newest first");
        group.MapPost("", CreateAsync).RequireScope(Scopes.RunsWrite).Idempotent().WithSummary("Make a schedule that starts runs of an agent or a workflow, by cron or once");
        group.MapGet("/{id}", GetAsync).WithSummary("Get a schedule with its next times");
        group.MapPut("/{id}", UpdateAsync).RequireScope(Scopes.RunsWrite).WithSummary("Replace a schedule; times begin anew from now");
        group.MapDelete("/{id}", DeleteAsync).RequireScope(Scopes.RunsWrite).WithSummary("Delete a schedule and its firings; their runs stay");
        group.MapPost("/{id}/pause", (HttpContext http, string id, IScheduleStore store, TimeProvider time) => PauseAsync(http, id, true, store, time)).RequireScope(Scopes.RunsWrite).WithSummary("Pause a schedule");
        group.MapPost("/{id}/resume", (HttpContext http, string id, IScheduleStore store, TimeProvider time) => PauseAsync(http, id, false, store, time)).RequireScope(Scopes.RunsWrite).WithSummary("Let a schedule go on from now; what passed in the pause is left out");
        group.MapPost("/{id}/run", RunAsync).RequireScope(Scopes.RunsWrite).Idempotent().WithSummary("Fire a schedule now, whatever its overlap policy says");
        group.MapGet("/{id}/firings", FiringsAsync).WithSummary("List a schedule's firings, newest first");
    }

    private static async Task<Ok<Page<ScheduleView>>> ListAsync(HttpContext http, IScheduleStore store, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        IReadOnlyList<Schedule> schedules = await store.ListAsync(http.GetCaller().TenantId, page.After, page.Limit + 1);
        return TypedResults.Ok(Page<ScheduleView>.From([.. schedules.Select(ScheduleView.Of)], page.Limit, s => s.Id));
    }

    private static async Task<Results<Created<ScheduleView>, ProblemHttpResult>> CreateAsync(HttpContext http, ScheduleSpec body, IScheduleStore store, ScheduleChecks checks, TimeProvider time, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        DateTimeOffset now = time.GetUtcNow();
        if (await checks.CheckAsync(caller.TenantId, body, null, now, cancellationToken) is { Count: > 0 } errors) return Problems.Invalid(errors);
        var schedule = Timed(new Schedule { Id = http.NewId("sch", now), TenantId = caller.TenantId, Spec = body, ApiKeyId = caller.ApiKeyId, UserId = caller.UserId, CreatedAt = now, UpdatedAt = now }, now);
        await store.AddAsync(schedule);
        return TypedResults.Created($"/api/v1/schedules/{schedule.Id}", ScheduleView.Of(schedule));
    }

    private static async Task<Results<Ok<ScheduleView>, ProblemHttpResult>> GetAsync(HttpContext http, string id, IScheduleStore store) =>
        await FindAsync(http, id, store) is { } schedule ? TypedResults.Ok(ScheduleView.Of(schedule)) : Missing();

    private static async Task<Results<Ok<ScheduleView>, ProblemHttpResult>> UpdateAsync(HttpContext http, string id, ScheduleSpec body, IScheduleStore store, ScheduleChecks checks, TimeProvider time, CancellationToken cancellationToken)
    {
        if (await FindAsync(http, id, store) is not { } schedule) return Missing();
        DateTimeOffset now = time.GetUtcNow();
        if (await checks.CheckAsync(schedule.TenantId, body, schedule.Spec, now, cancellationToken) is { Count: > 0 } errors) return Problems.Invalid(errors);
        return await ChangeAsync(store, Timed(schedule with { Spec = body }, now), now);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(HttpContext http, string id, IScheduleStore store) =>
        await FindAsync(http, id, store) is { } schedule && await store.DeleteAsync(schedule.TenantId, id) ? TypedResults.NoContent() : Missing();

    private static async Task<Results<Ok<ScheduleView>, ProblemHttpResult>> PauseAsync(HttpContext http, string id, bool pause, IScheduleStore store, TimeProvider time)
    {
        if (await FindAsync(http, id, store) is not { } schedule) return Missing();
        if (schedule.Paused == pause) return TypedResults.Ok(ScheduleView.Of(schedule));
        DateTimeOffset now = time.GetUtcNow();
        return await ChangeAsync(store, Timed(schedule with { Paused = pause }, now), now);
    }

    private static async Task<Results<Accepted<FiringView>, ProblemHttpResult>> RunAsync(HttpContext http, string id, IScheduleStore store, TimeProvider time)
    {
        if (await FindAsync(http, id, store) is not { } schedule) return Missing();
        DateTimeOffset now = time.GetUtcNow();
        var firing = new Firing { Id = http.NewId("fir", now), TenantId = schedule.TenantId, ScheduleId = id, FireAt = now, Manual = true, TryAt = now, CreatedAt = now };
        await store.AddFiringAsync(firing);
        return TypedResults.Accepted($"/api/v1/schedules/{id}/firings", FiringView.Of(firing));
    }

    private static async Task<Results<Ok<Page<FiringView>>, ProblemHttpResult>> FiringsAsync(HttpContext http, string id, IScheduleStore store, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        if (await FindAsync(http, id, store) is not { } schedule) return Missing();
        IReadOnlyList<Firing> firings = await store.ListFiringsAsync(schedule.TenantId, id, page.After, page.Limit + 1);
        return TypedResults.Ok(Page<FiringView>.From([.. firings.Select(FiringView.Of)], page.Limit, f => f.Id));
    }

    private static async Task<Results<Ok<ScheduleView>, ProblemHttpResult>> ChangeAsync(IScheduleStore store, Schedule schedule, DateTimeOffset now)
    {
        Schedule changed = schedule with { Revision = schedule.Revision + 1, UpdatedAt = now };
        return await store.UpdateAsync(changed) ? TypedResults.Ok(ScheduleView.Of(changed)) : Problems.Conflict("The schedule was changed at the same moment. Try again.");
    }

    private static Schedule Timed(Schedule schedule, DateTimeOffset now)
    {
        DateTimeOffset? next = FiringPlan.First(schedule.Spec, now);
        return schedule with { NextAt = next, DueAt = next is { } at ? FiringPlan.Due(schedule, at) : null };
    }

    private static async ValueTask<Schedule?> FindAsync(HttpContext http, string id, IScheduleStore store) => Ids.IsValid(id, "sch") ? await store.FindAsync(http.GetCaller().TenantId, id) : null;

    private static ProblemHttpResult Missing() => Problems.NotFound("The schedule");
}
