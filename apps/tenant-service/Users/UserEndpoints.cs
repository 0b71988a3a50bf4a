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

namespace MultiAgent.Tenants.Users;

internal static class UserEndpoints
{
    public static void MapUsers(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/users").RequireScope(Scopes.UsersManage).NeverCached().WithTags("Users");
        group.MapPost("", CreateAsync).Idempotent().WithSummary("Create a user; a generated password is shown once");
        group.MapGet("", ListAsync).WithSummary("List users, newest first");
        group.MapGet("/{id}", GetAsync).WithSummary("Get a user");
        group.MapPatch("/{id}", UpdateAsync).WithSummary("Change a user's name, role or status");
        group.MapDelete("/{id}", DeleteAsync).WithSummary("Delete a user");
    }

    private static async Task<Results<Created<NewUserView>, ProblemHttpResult>> CreateAsync(
        CreateUserRequest request, HttpContext http, ServiceDb<TenantDb> db, TimeProvider time, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        string email = request.Email?.Trim() ?? "";
        var errors = new Dictionary<string, string[]>();
        if (!UserRules.IsEmail(email)) errors["email"] = ["must be an email address"];
        if (request.Name?.Trim() is not { Length: > 0 and <= UserRules.MaxName }) errors["name"] = [$"must have 1 to {UserRules.MaxName} characters"];
        if (!UserRules.TryParse(request.Role, out Role role)) errors["role"] = [$"must be one of {UserRules.Names<Role>()}"];
        if (request.Password is not null && Passwords.Problem(request.Password, email) is { } problem) errors["password"] = [problem];
        if (errors.Count > 0) return Problems.Invalid(errors);
        if (!caller.Reaches(role)) return AboveOwn();

        string normalized = User.Normalize(email);
        DateTimeOffset now = time.GetUtcNow();
        string password = request.Password ?? Passwords.Generate();
        var user = new User { Id = Ids.New("usr", now), Email = email, NormalizedEmail = normalized, Name = request.Name!.Trim(), Role = role, CreatedAt = now };
        user.PasswordHash = Passwords.Hash(password);
        await using TenantDb context = db.Open(caller.TenantId);
        await using var transaction = await context.BeginAloneAsync("users", cancellationToken);
        if (await context.Users.AnyAsync(u => u.NormalizedEmail == normalized, cancellationToken)) return Problems.Conflict("A user with this email address exists already.");
        if (await context.Users.CountAsync(cancellationToken) >= UserRules.MaxUsers) return Problems.Conflict($"The tenant has {UserRules.MaxUsers} users already.");
        context.Users.Add(user);
        await context.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return TypedResults.Created($"/api/v1/users/{user.Id}", new NewUserView(user, request.Password is null ? password : null));
    }

    private static async Task<Ok<Page<UserView>>> ListAsync(int? limit, string? cursor, HttpContext http, ServiceDb<TenantDb> db, CancellationToken cancellationToken)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        await using TenantDb context = db.Open(http.GetCaller().TenantId);
        List<User> users = await context.Users.AsNoTracking()
            .Where(u => page.After == null || string.Compare(u.Id, page.After) < 0)
            .OrderByDescending(u => u.Id).Take(page.Limit + 1).ToListAsync(cancellationToken);
        return TypedResults.Ok(Page<UserView>.From([.. users.Select(UserView.Of)], page.Limit, u => u.Id));
    }

    private static async Task<Results<Ok<UserView>, ProblemHttpResult>> GetAsync(string id, HttpContext http, ServiceDb<TenantDb> db, CancellationToken cancellationToken)
    {
        await using TenantDb context = db.Open(http.GetCaller().TenantId);
        return await FindAsync(context, id, cancellationToken) is { } user ? TypedResults.Ok(UserView.Of(user)) : Problems.NotFound("The user");
    }

    private static async Task<Results<Ok<UserView>, ProblemHttpResult>> UpdateAsync(
        string id, UpdateUserRequest request, HttpContext http, ServiceDb<TenantDb> db, CallerChanges changes, TimeProvider time, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        Role role = default;
        UserStatus status = default;
        var errors = new Dictionary<string, string[]>();
        if (request.Name is not null && request.Name.Trim() is not { Length: > 0 and <= UserRules.MaxName }) errors["name"] = [$"must have 1 to {UserRules.MaxName} characters"];
        if (request.Role is not null && !UserRules.TryParse(request.Role, out role)) errors["role"] = [$"must be one of {UserRules.Names<Role>()}"];
        if (request.Status is not null && !UserRules.TryParse(request.Status, out status)) errors["status"] = [$"must be one of {UserRules.Names<UserStatus>()}"];
        if (errors.Count > 0) return Problems.Invalid(errors);

        await using TenantDb context = db.Open(caller.TenantId);
        // Alone: of two that take each other's ownership at the same moment, one finds itself the last.
        await using var transaction = await context.BeginAloneAsync("users", cancellationToken);
        if (await FindAsync(context, id, cancellationToken) is not { } user) return Problems.NotFound("The user");
        Role newRole = request.Role is null ? user.Role : role;
        UserStatus newStatus = request.Status is null ? user.Status : status;
        if (!caller.Reaches(user.Role) || !caller.Reaches(newRole)) return AboveOwn();
        bool staysOwner = newRole == Role.Owner && newStatus == UserStatus.Active;
        if (!staysOwner && await IsLastOwnerAsync(context, user, cancellationToken)) return LastOwner();

        bool accessChanges = newRole != user.Role || newStatus != user.Status;
        user.Name = request.Name?.Trim() ?? user.Name;
        user.Role = newRole;
        user.Status = newStatus;
        if (accessChanges) await RevokeSessionsAsync(context, user.Id, time.GetUtcNow(), cancellationToken);
        await changes.SaveAsync(context, new CallerChanged(caller.TenantId, null, user.Id), cancellationToken);
        return TypedResults.Ok(UserView.Of(user));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(
        string id, HttpContext http, ServiceDb<TenantDb> db, CallerChanges changes, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        await using TenantDb context = db.Open(caller.TenantId);
        await using var transaction = await context.BeginAloneAsync("users", cancellationToken);
        if (await FindAsync(context, id, cancellationToken) is not { } user) return Problems.NotFound("The user");
        if (!caller.Reaches(user.Role)) return AboveOwn();
        if (await IsLastOwnerAsync(context, user, cancellationToken)) return LastOwner();
        await context.RefreshTokens.Where(t => t.UserId == user.Id).ExecuteDeleteAsync(cancellationToken);
        context.Users.Remove(user);
        await changes.SaveAsync(context, new CallerChanged(caller.TenantId, null, user.Id), cancellationToken);
        return TypedResults.NoContent();
    }

    /// <summary>Ends all sessions of a user, inside the context's transaction.</summary>
    internal static Task<int> RevokeSessionsAsync(TenantDb context, string userId, DateTimeOffset now, CancellationToken cancellationToken) =>
        context.RefreshTokens.Where(t => t.UserId == userId && t.RevokedAt == null)
            .ExecuteUpdateAsync(set => set.SetProperty(t => t.RevokedAt, now), cancellationToken);

    private static async Task<User?> FindAsync(TenantDb context, string id, CancellationToken cancellationToken) =>
        Ids.IsValid(id, "usr") ? await context.Users.FirstOrDefaultAsync(u => u.Id == id, cancellationToken) : null;

    private static async Task<bool> IsLastOwnerAsync(TenantDb context, User user, CancellationToken cancellationToken) =>
        user is { Role: Role.Owner, Status: UserStatus.Active }
        && !await context.Users.AnyAsync(u => u.Role == Role.Owner && u.Status == UserStatus.Active && u.Id != user.Id, cancellationToken);

    private static ProblemHttpResult AboveOwn() =>
        Problems.Of(403, ErrorCodes.MissingScope, "You can neither give a role that is above your own nor change somebody who has one.");

    private static ProblemHttpResult LastOwner() =>
        Problems.Conflict("This is the last active owner. Make somebody else an owner first.", ErrorCodes.LastOwner);
}
