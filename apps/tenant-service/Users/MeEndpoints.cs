using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Identity;
using MultiAgent.Tenants.Auth;
using MultiAgent.Tenants.Callers;

namespace MultiAgent.Tenants.Users;

internal static class MeEndpoints
{
    public static void MapMe(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/me").AllowAnyCaller().NeverCached().WithTags("Me");
        group.MapGet("", GetAsync).WithSummary("Who the credential stands for, and what it may do");
        group.MapPost("/password", ChangePasswordAsync).WithSummary("Change one's own password; ends all sessions");
    }

    private static async Task<Ok<MeView>> GetAsync(HttpContext http, ServiceDb<TenantDb> db, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        await using TenantDb context = db.Open(caller.TenantId);
        User? user = caller.ApiKeyId is null ? await context.Users.AsNoTracking().FirstOrDefaultAsync(u => u.Id == caller.UserId, cancellationToken) : null;
        return TypedResults.Ok(new MeView(caller.TenantId, caller.TenantSlug, user is null ? null : UserView.Of(user), caller.ApiKeyId, ScopeNames.ToNames(caller.Scopes)));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> ChangePasswordAsync(
        ChangePasswordRequest request, HttpContext http, ServiceDb<TenantDb> db, PasswordLogin login, CallerChanges changes, TimeProvider time, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        if (caller.ApiKeyId is not null) return Problems.Of(403, ErrorCodes.InvalidCredentials, "An API key has no password. Log in and use the access token.");
        await using TenantDb context = db.Open(caller.TenantId);
        if (await context.Users.AsNoTracking().FirstOrDefaultAsync(u => u.Id == caller.UserId, cancellationToken) is not { } user) return Problems.NotFound("The user");
        if (Passwords.Problem(request.New, user.Email) is { } problem) return Problems.Invalid("new", problem);
        if (request.Current is null) return Problems.Invalid("current", "is required");
        if (request.Current == request.New) return Problems.Invalid("new", "must differ from the current one");

        (bool passed, TimeSpan? lockedFor) = await login.CheckAsync(user, request.Current, cancellationToken);
        if (lockedFor is not null) throw AuthEndpoints.Locked(lockedFor.Value);
        if (!passed) return Problems.Of(403, ErrorCodes.InvalidCredentials, "The current password is wrong.");
        string hash = Passwords.Hash(request.New!);
        await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
        await context.Users.Where(u => u.Id == user.Id).ExecuteUpdateAsync(set => set.SetProperty(u => u.PasswordHash, hash), cancellationToken);
        await UserEndpoints.RevokeSessionsAsync(context, user.Id, time.GetUtcNow(), cancellationToken);
        await changes.SaveAsync(context, new CallerChanged(caller.TenantId, null, user.Id), cancellationToken);
        return TypedResults.NoContent();
    }
}

/// <summary>The caller as it sees itself; the user is null for API keys.</summary>
internal sealed record MeView(string TenantId, string TenantSlug, UserView? User, string? ApiKeyId, IReadOnlyList<string> Scopes);
