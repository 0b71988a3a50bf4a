using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using MultiAgent.Contracts;

namespace MultiAgent.Hosting.Errors;

/// <summary>Results for expected failures, as RFC 9457 problem details with a stable <c>code</c>.</summary>
public static class Problems
{
    /// <summary>A problem with any status. <paramref name="detail"/> is for people and must hold no secret.</summary>
    public static ProblemHttpResult Of(int status, string code, string detail) => TypedResults.Problem(Details(status, code, detail));

    public static ProblemHttpResult NotFound(string what) => Of(404, ErrorCodes.NotFound, $"{what} was not found.");

    public static ProblemHttpResult Conflict(string detail, string code = ErrorCodes.Conflict) => Of(409, code, detail);

    /// <summary>400 with one message per member; all problems at once.</summary>
    public static ProblemHttpResult Invalid(IReadOnlyDictionary<string, string[]> errors)
    {
        ProblemDetails details = Details(400, ErrorCodes.ValidationFailed,
            string.Join(" ", errors.SelectMany(e => e.Value.Select(message => $"{e.Key}: {message}"))));
        details.Extensions["errors"] = errors;
        return TypedResults.Problem(details);
    }

    public static ProblemHttpResult Invalid(string member, string message) =>
        Invalid(new Dictionary<string, string[]> { [member] = [message] });

    internal static ProblemDetails Details(int status, string code, string detail) => new()
    {
        Status = status,
        Title = Title(status),
        Type = $"urn:maap:error:{code}",
        Detail = detail,
        Extensions = { ["code"] = code },
    };

    private static string Title(int status) => status switch
    {
        400 => "The request is invalid",
        401 => "Authentication is required",
        403 => "Not permitted",
        404 => "Not found",
        405 => "Method not allowed",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition failed",
        413 => "The request is too large",
        415 => "Unsupported media type",
        429 => "Too many requests",
        499 => "The client closed the request",
        503 => "Temporarily unavailable",
        504 => "A time limit passed",
        _ => status >= 500 ? "The server failed" : "The request failed",
    };
}
