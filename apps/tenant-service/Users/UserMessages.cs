using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace MultiAgent.Tenants.Users;

/// <summary>A new user. Without a password one is made and shown once.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record CreateUserRequest
{
    public string? Email { get; init; }
    public string? Name { get; init; }
    /// <summary><c>owner</c>, <c>admin</c>, <c>developer</c>, <c>analyst</c> or <c>viewer</c>.</summary>
    public string? Role { get; init; }
    public string? Password { get; init; }
}

/// <summary>What is to change; members that are left out stay.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record UpdateUserRequest
{
    public string? Name { get; init; }
    public string? Role { get; init; }
    /// <summary><c>active</c> or <c>disabled</c>.</summary>
    public string? Status { get; init; }
}

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ChangePasswordRequest
{
    public string? Current { get; init; }
    public string? New { get; init; }
}

/// <summary>A user as shown.</summary>
internal record UserView
{
    public required string Id { get; init; }
    public required string Email { get; init; }
    public required string Name { get; init; }
    public required string Role { get; init; }
    public required string Status { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    public static UserView Of(User user) => new()
    {
        Id = user.Id,
        Email = user.Email,
        Name = user.Name,
        Role = user.Role.ToString().ToLowerInvariant(),
        Status = user.Status.ToString().ToLowerInvariant(),
        CreatedAt = user.CreatedAt,
    };
}

/// <summary>A user who was just made.</summary>
internal sealed record NewUserView : UserView
{
    [SetsRequiredMembers]
    public NewUserView(User user, string? initialPassword) : base(Of(user)) => InitialPassword = initialPassword;

    /// <summary>The password that was made for the user; the only time that it is shown.</summary>
    public string? InitialPassword { get; }
}
