using System.Buffers.Text;
using System.Text;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;

namespace MultiAgent.Hosting.Api;

/// <summary>One page of a list. Pass <see cref="NextCursor"/> as <c>cursor</c> to get the next; null means the end.</summary>
public sealed record Page<T>(IReadOnlyList<T> Data, string? NextCursor)
{
    /// <summary>
    /// Makes a page from up to <paramref name="limit"/> + 1 items: the one too many only tells that there is more.
    /// </summary>
    /// <param name="items">Items in the order of the list.</param>
    /// <param name="limit">The page's size.</param>
    /// <param name="position">The sort key of an item, to go on after.</param>
    public static Page<T> From(IReadOnlyList<T> items, int limit, Func<T, string> position) => items.Count <= limit
        ? new Page<T>(items, null)
        : new Page<T>([.. items.Take(limit)], Cursor.Encode(position(items[limit - 1])));
}

/// <summary>Query parameters of every list: <c>?limit=</c> (1 to 200, default 50) and <c>?cursor=</c>.</summary>
public readonly record struct PageRequest(int Limit, string? After)
{
    public const int MaxLimit = 200;

    /// <summary>Checks the parameters.</summary>
    /// <exception cref="ApiException">400: the limit is out of range or the cursor is not one of ours.</exception>
    public static PageRequest Of(int? limit, string? cursor)
    {
        if (limit is < 1 or > MaxLimit) throw new ApiException(400, ErrorCodes.ValidationFailed, $"'limit' must be between 1 and {MaxLimit}.", "limit");
        return new PageRequest(limit ?? 50, string.IsNullOrEmpty(cursor) ? null : Cursor.Decode(cursor));
    }
}

/// <summary>Opaque positions in lists: base64url of the last item's sort key.</summary>
public static class Cursor
{
    public static string Encode(string position) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(position));

    /// <exception cref="ApiException">400: not a cursor.</exception>
    public static string Decode(string cursor)
    {
        try
        {
            if (cursor.Length <= 512) return new UTF8Encoding(false, true).GetString(Base64Url.DecodeFromChars(cursor));
        }
        catch (Exception e) when (e is FormatException or ArgumentException)
        {
            // falls through to the one message
        }
        throw new ApiException(400, ErrorCodes.ValidationFailed, "'cursor' is not a cursor of this list. Pass 'nextCursor' of the page before, unchanged.", "cursor");
    }
}
