using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Identity;
using MultiAgent.Tenants.Callers;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Auth;

internal static class AuthEndpoints
{
    public static void MapAuth(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/auth").AllowAnonymousCaller().NeverCached().WithTags("Log-in");
        group.MapPost("/login", LoginAsync).WithSummary("Log in with email and password");
        group.MapPost("/refresh", RefreshAsync).WithSummary("Exchange a refresh token for new tokens; a second use ends the session");
        group.MapPost("/logout", LogoutAsync).WithSummary("End the session of a refresh token");
    }

    /// <summary>Too many wrong passwords; the same for addresses that nobody has.</summary>
    internal static ApiException Locked(TimeSpan remaining) =>
        new(429, ErrorCodes.AccountLocked, "Too many wrong passwords. Wait, and try again.") { RetryAfter = remaining };

    private static async Task<Results<Ok<TokenView>, ProblemHttpResult>> LoginAsync(
        LoginRequest request, HttpContext http, LoginAddressLimit addresses, PasswordLogin login, Sessions sessions, AccessTokens tokens, IOptions<AuthOptions> options,
        CancellationToken cancellationToken)
    {
        if (await addresses.TakeAsync(http.Connection.RemoteIpAddress) is { } retryAfter)
            throw new ApiException(429, ErrorCodes.RateLimitExceeded, "Too many attempts to log in from this address.") { RetryAfter = retryAfter };
        var errors = new Dictionary<string, string[]>();
        if (request.Email?.Trim() is not { Length: > 0 and <= UserRules.MaxEmail }) errors["email"] = ["is required"];
        if (string.IsNullOrEmpty(request.Password)) errors["password"] = ["is required"];
        if (errors.Count > 0) return Problems.Invalid(errors);

        string? tenant = string.IsNullOrWhiteSpace(request.Tenant) ? null : request.Tenant.Trim();
        (User? user, TimeSpan? lockedFor) = await login.CheckAsync(request.Email!, request.Password!, tenant, cancellationToken);
        if (lockedFor is not null) throw Locked(lockedFor.Value);
        if (user is null)
            return Problems.Of(401, ErrorCodes.InvalidCredentials, "Email or password is wrong. If the address belongs to several tenants, send the 'tenant' too.");
        return TypedResults.Ok(await ViewAsync(user, await sessions.StartAsync(user), tokens, options.Value, cancellationToken));
    }

    private static async Task<Results<Ok<TokenView>, ProblemHttpResult>> RefreshAsync(
        RefreshRequest request, ServiceDb<TenantDb> db, Sessions sessions, AccessTokens tokens, IOptions<AuthOptions> options, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(request.RefreshToken)) return Problems.Invalid("refreshToken", "is required");
        (RefreshOutcome outcome, Session? session) = await sessions.RotateAsync(request.RefreshToken);
        if (outcome == RefreshOutcome.Reused)
            return Problems.Of(401, ErrorCodes.RefreshTokenReused, "This refresh token was used before. The session has been ended; log in again.");
        if (session is null) return Problems.Of(401, ErrorCodes.InvalidToken, "The refresh token is unknown, expired or revoked. Log in again.");
        await using TenantDb context = db.Open(session.TenantId);
        return await context.Users.AsNoTracking().FirstOrDefaultAsync(u => u.Id == session.UserId, cancellationToken) is { } user
            ? TypedResults.Ok(await ViewAsync(user, session, tokens, options.Value, cancellationToken))
            : Problems.Of(401, ErrorCodes.InvalidToken, "The user does not exist any more.");
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> LogoutAsync(RefreshRequest request, Sessions sessions)
    {
        if (string.IsNullOrEmpty(request.RefreshToken)) return Problems.Invalid("refreshToken", "is required");
        await sessions.EndAsync(request.RefreshToken);
        return TypedResults.NoContent();
    }

    private static async Task<TokenView> ViewAsync(User user, Session session, AccessTokens tokens, AuthOptions options, CancellationToken cancellationToken) =>
        new(await tokens.IssueAsync(user, session.FamilyId, cancellationToken), "Bearer", options.AccessTokenSeconds, session.RefreshToken, UserView.Of(user));
}
