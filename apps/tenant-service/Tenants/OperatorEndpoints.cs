using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Tenants.ApiKeys;
using MultiAgent.Tenants.Callers;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Tenants;

/// <summary>Tenants as the operator of the deployment sees them; no tenant's credential opens these.</summary>
internal static class OperatorEndpoints
{
    public static void MapTenants(this IEndpointRouteBuilder routes)
    {
        OperatorAccess access = routes.ServiceProvider.GetRequiredService<OperatorAccess>();
        RouteGroupBuilder group = routes.MapGroup("/api/v1/tenants").AllowAnonymousCaller().AddEndpointFilter(access).NeverCached().WithTags("Operator");
        group.MapPost("", CreateAsync).Idempotent(access.OwnerOf).WithSummary("Create a tenant with its owner and first API key (operator)");
        group.MapGet("", ListAsync).WithSummary("List tenants, newest first (operator)");
        group.MapGet("/{id}", GetAsync).WithSummary("Get a tenant (operator)");
        group.MapPatch("/{id}", UpdateAsync).WithSummary("Change a tenant's name, limits or status (operator)");
    }

    private static async Task<Results<Created<NewTenantView>, ProblemHttpResult>> CreateAsync(CreateTenantRequest request, TenantCreation creation, CancellationToken cancellationToken)
    {
        string email = request.OwnerEmail?.Trim() ?? "";
        var errors = new Dictionary<string, string[]>();
        if (!TenantCreation.IsSlug(request.Slug)) errors["slug"] = ["must have 1 to 40 lower-case letters, digits and inner hyphens"];
        if (request.Name?.Trim() is not { Length: > 0 and <= UserRules.MaxName }) errors["name"] = [$"must have 1 to {UserRules.MaxName} characters"];
        if (!UserRules.IsEmail(email)) errors["ownerEmail"] = ["must be an email address"];
        if (request.OwnerName?.Trim() is { Length: 0 or > UserRules.MaxName }) errors["ownerName"] = [$"must have 1 to {UserRules.MaxName} characters"];
        if (request.OwnerPassword is not null && Passwords.Problem(request.OwnerPassword, email) is { } problem) errors["ownerPassword"] = [problem];
        if (request.Limits?.Problem() is { } limits) errors["limits"] = [limits];
        if (errors.Count > 0) return Problems.Invalid(errors);

        string password = request.OwnerPassword ?? Passwords.Generate(), secret = ApiKeySecret.Generate();
        var blueprint = new TenantBlueprint(request.Slug!, request.Name!.Trim(), email, request.OwnerName?.Trim() ?? "Owner", password, secret, "First key", request.Limits);
        if (await creation.CreateAsync(blueprint, cancellationToken) is not var (tenant, owner, key)) return Problems.Conflict("A tenant with this slug exists already.");
        return TypedResults.Created($"/api/v1/tenants/{tenant.Id}",
            new NewTenantView(TenantView.Of(tenant), owner.Id, owner.Email, request.OwnerPassword is null ? password : null, key.Id, secret));
    }

    private static async Task<Ok<Page<TenantView>>> ListAsync(int? limit, string? cursor, ServiceDb<TenantDb> db, CancellationToken cancellationToken)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        await using TenantDb context = db.OpenSystem("operator");
        List<Tenant> tenants = await context.Tenants.AsNoTracking()
            .Where(t => page.After == null || string.Compare(t.Id, page.After) < 0)
            .OrderByDescending(t => t.Id).Take(page.Limit + 1).ToListAsync(cancellationToken);
        return TypedResults.Ok(Page<TenantView>.From([.. tenants.Select(TenantView.Of)], page.Limit, t => t.Id));
    }

    private static async Task<Results<Ok<TenantView>, ProblemHttpResult>> GetAsync(string id, ServiceDb<TenantDb> db, CancellationToken cancellationToken)
    {
        await using TenantDb context = db.OpenSystem("operator");
        return await FindAsync(context, id, cancellationToken) is { } tenant ? TypedResults.Ok(TenantView.Of(tenant)) : Problems.NotFound("The tenant");
    }

    private static async Task<Results<Ok<TenantView>, ProblemHttpResult>> UpdateAsync(
        string id, UpdateTenantRequest request, ServiceDb<TenantDb> db, CallerChanges changes, CancellationToken cancellationToken)
    {
        TenantStatus status = default;
        var errors = new Dictionary<string, string[]>();
        if (request.Name is not null && request.Name.Trim() is not { Length: > 0 and <= UserRules.MaxName }) errors["name"] = [$"must have 1 to {UserRules.MaxName} characters"];
        if (request.Status is not null && !UserRules.TryParse(request.Status, out status)) errors["status"] = [$"must be one of {UserRules.Names<TenantStatus>()}"];
        if (request.Limits?.Problem() is { } limits) errors["limits"] = [limits];
        if (errors.Count > 0) return Problems.Invalid(errors);

        await using TenantDb context = db.OpenSystem("operator");
        if (await FindAsync(context, id, cancellationToken) is not { } tenant) return Problems.NotFound("The tenant");
        tenant.Name = request.Name?.Trim() ?? tenant.Name;
        if (request.Status is not null) tenant.Status = status;
        request.Limits?.ApplyTo(tenant);
        await changes.SaveAsync(context, new CallerChanged(tenant.Id, null, null), cancellationToken);
        return TypedResults.Ok(TenantView.Of(tenant));
    }

    private static async Task<Tenant?> FindAsync(TenantDb context, string id, CancellationToken cancellationToken) =>
        Ids.IsValid(id, "ten") ? await context.Tenants.FirstOrDefaultAsync(t => t.Id == id, cancellationToken) : null;
}
