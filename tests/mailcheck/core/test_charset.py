"""Replies in legacy charsets are read as people wrote them."""

import pytest

from smtpweb.mailcheck.core.charset import decoded


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("用户名或密码错误", "gbk"),
        ("该邮箱已满", "gb18030"),
        ("用户不存在 user@example.com", "gbk"),
        ("Неверный логин или пароль", "koi8-r"),
        ("Получатель не найден", "koi8-r"),
        ("Получатель не найден", "cp1251"),
        ("ящик переполнен (552)", "cp1251"),
        ("メールボックスがいっぱいです", "shift_jis"),
        ("メールボックスがいっぱいです", "euc_jp"),
        ("認証に失敗しました", "euc_jp"),
        ("Boîte aux lettres pleine", "latin-1"),
        ("Empfänger ungültig, Größe überschritten", "latin-1"),
        ("Boîte pleine", "utf-8"),
        ("用户不存在", "utf-8"),
        ("User unknown", "ascii"),
    ],
)
def test_decoded_reads_a_line_in_its_charset(text, charset):
    assert decoded(text.encode(charset)) == text


@pytest.mark.parametrize("line", [b"\xff", b"\xff\xfe\xfd\xfc", bytes(range(128, 256)), b"a\x80"])
def test_decoded_never_fails(line):
    assert isinstance(decoded(line), str)
